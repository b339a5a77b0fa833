// JSON, read into a tree of nodes that point into the text, and written in order. All memory comes from one arena that
// is never freed: each call runs in a fresh copy of the module.
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
	const char *at;
	size_t length;
} text;

#define TEXT(literal) ((text){literal, sizeof(literal) - 1})

enum kind { NONE, NULL_VALUE, BOOL, NUMBER, STRING, ARRAY, OBJECT };

// A value. Members of an object have a key; siblings follow by next.
typedef struct value {
	enum kind kind;
	text key;
	text text; // of a string, without escapes; of a number, as written
	struct value *first, *next;
} value;

// json_parse returns NULL if what it is given is no JSON document.
const value *json_parse(text document);

// json_get returns a member of an object, or a value of kind NONE. The last of several counts.
const value *json_get(const value *object, text key);

int64_t json_whole(const value *number); // 0 if it is none

bool text_equal(text a, text b);

void *arena(size_t size);

// A buffer that grows.
typedef struct {
	char *at;
	size_t length, room;
	bool html; // whether <, > and & are escaped too
} buffer;

void put(buffer *b, text raw);
void put_string(buffer *b, text string); // with quotes and escapes
void put_key(buffer *b, text key);       // with a comma where one belongs, and a colon
void put_next(buffer *b);                // a comma where one belongs
void put_number(buffer *b, int64_t number);

#endif
