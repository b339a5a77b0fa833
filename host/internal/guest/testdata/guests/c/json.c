#include "json.h"

#include <string.h>

static char *free_from, *free_to;

void *arena(size_t size) {
	size = (size + 15) & ~(size_t)15;
	if ((size_t)(free_to - free_from) < size) {
		const size_t page = 64 << 10;
		size_t pages = (size + page - 1) / page + 3;
		size_t grown = __builtin_wasm_memory_grow(0, pages);
		if (grown == SIZE_MAX) {
			__builtin_trap();
		}
		if (free_to != (char *)(grown * page)) {
			free_from = (char *)(grown * page);
		}
		free_to = (char *)((grown + pages) * page);
	}
	void *start = free_from;
	free_from += size;
	return start;
}

bool text_equal(text a, text b) { return a.length == b.length && memcmp(a.at, b.at, a.length) == 0; }

// A parser. It stops at end, or where it finds a fault.
typedef struct {
	const char *at, *end;
	bool failed;
} parser;

enum { DEEPEST = 1000 };

static char peek(parser *p) {
	while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')) {
		p->at++;
	}
	return p->at < p->end ? *p->at : 0;
}

static bool take(parser *p, char c) {
	bool found = peek(p) == c;
	p->at += found;
	return found;
}

static void fail(parser *p) {
	p->failed = true;
	p->at = p->end;
}

static unsigned hex(parser *p) {
	unsigned n = 0;
	for (int i = 0; i < 4; i++) {
		char c = p->at < p->end ? *p->at++ : 0;
		if (c >= '0' && c <= '9') {
			n = n * 16 + (unsigned)(c - '0');
		} else if ((c | 32) >= 'a' && (c | 32) <= 'f') {
			n = n * 16 + (unsigned)((c | 32) - 'a' + 10);
		} else {
			fail(p);
		}
	}
	return n;
}

static char *put_utf8(char *to, unsigned c) {
	if (c < 0x80) {
		*to++ = (char)c;
		return to;
	}
	if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*to++ = (char)(0xe0 | c >> 12);
		} else {
			*to++ = (char)(0xf0 | c >> 18);
			*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		}
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*to++ = (char)(0x80 | (c & 0x3f));
	return to;
}

static char *unicode(parser *p, char *to) {
	unsigned c = hex(p);
	if (c >= 0xd800 && c < 0xdc00 && p->end - p->at >= 6 && p->at[0] == '\\' && p->at[1] == 'u') {
		const char *back = p->at;
		p->at += 2;
		unsigned low = hex(p);
		if (low >= 0xdc00 && low < 0xe000) {
			return put_utf8(to, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
		}
		p->at = back;
	}
	return put_utf8(to, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
}

static char *escape(parser *p, char *to) {
	static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
	char c = p->at < p->end ? *p->at++ : 0;
	if (c == 'u') {
		return unicode(p, to);
	}
	const char *found = c == 0 ? NULL : strchr(from, c);
	if (found == NULL) {
		fail(p);
		return to;
	}
	*to++ = into[found - from];
	return to;
}

// string reads a string. One without escapes is part of the document.
static text string(parser *p) {
	p->at++;
	const char *start = p->at;
	while (p->at < p->end && *p->at != '"' && *p->at != '\\') {
		p->at++;
	}
	if (p->at == p->end || *p->at == '"') {
		text plain = {start, (size_t)(p->at - start)};
		p->at == p->end ? fail(p) : (void)p->at++;
		return plain;
	}
	const char *last = p->at; // no more than what is left to the closing quote is needed
	while (last < p->end && *last != '"') {
		last += *last == '\\' ? 2 : 1;
	}
	size_t most = (size_t)(last - start);
	char *copy = arena(most + 1), *to = copy + (p->at - start);
	memcpy(copy, start, (size_t)(p->at - start));
	while (p->at < p->end && *p->at != '"') {
		char c = *p->at++;
		if (c == '\\') {
			to = escape(p, to);
		} else {
			*to++ = c;
		}
	}
	p->at == p->end ? fail(p) : (void)p->at++;
	return (text){copy, (size_t)(to - copy)};
}

static value *parse(parser *p, int depth);

static value *list(parser *p, value *v, char close, int depth) {
	p->at++;
	if (take(p, close)) {
		return v;
	}
	value **last = &v->first;
	do {
		text key = {0};
		if (close == '}') {
			if (peek(p) != '"') {
				fail(p);
				return v;
			}
			key = string(p);
			if (!take(p, ':')) {
				fail(p);
				return v;
			}
		}
		*last = parse(p, depth + 1);
		(*last)->key = key;
		last = &(*last)->next;
	} while (take(p, ','));
	if (!take(p, close)) {
		fail(p);
	}
	return v;
}

static value *word(parser *p, value *v, text word) {
	if ((size_t)(p->end - p->at) < word.length || memcmp(p->at, word.at, word.length) != 0) {
		fail(p);
		return v;
	}
	p->at += word.length;
	return v;
}

static value *parse(parser *p, int depth) {
	value *v = arena(sizeof *v);
	*v = (value){0};
	char c = peek(p);
	if (depth > DEEPEST) {
		fail(p);
		return v;
	}
	switch (c) {
	case '{':
		v->kind = OBJECT;
		return list(p, v, '}', depth);
	case '[':
		v->kind = ARRAY;
		return list(p, v, ']', depth);
	case '"':
		v->kind = STRING;
		v->text = string(p);
		return v;
	case 't':
		v->kind = BOOL;
		return word(p, v, TEXT("true"));
	case 'f':
		v->kind = BOOL;
		return word(p, v, TEXT("false"));
	case 'n':
		v->kind = NULL_VALUE;
		return word(p, v, TEXT("null"));
	}
	if (c != '-' && (c < '0' || c > '9')) {
		fail(p);
		return v;
	}
	v->kind = NUMBER;
	v->text.at = p->at;
	while (p->at < p->end && strchr("-+.eE0123456789", *p->at) != NULL) {
		p->at++;
	}
	v->text.length = (size_t)(p->at - v->text.at);
	return v;
}

const value *json_parse(text document) {
	parser p = {document.at, document.at + document.length, false};
	const value *v = parse(&p, 0);
	return peek(&p) != 0 || p.failed ? NULL : v;
}

const value *json_get(const value *object, text key) {
	static const value none;
	const value *found = &none;
	if (object->kind == OBJECT) {
		for (const value *member = object->first; member != NULL; member = member->next) {
			if (text_equal(member->key, key)) {
				found = member;
			}
		}
	}
	return found;
}

int64_t json_whole(const value *number) {
	if (number->kind != NUMBER) {
		return 0;
	}
	bool negative = number->text.at[0] == '-';
	int64_t n = 0;
	for (size_t i = negative; i < number->text.length; i++) {
		n = n * 10 + (number->text.at[i] - '0');
	}
	return negative ? -n : n;
}

static char *room(buffer *b, size_t length) {
	if (b->room - b->length < length) {
		size_t room = 2 * b->room + length + 1024;
		char *at = arena(room);
		memcpy(at, b->at, b->length);
		b->at = at;
		b->room = room;
	}
	return b->at + b->length;
}

void put(buffer *b, text raw) {
	memcpy(room(b, raw.length), raw.at, raw.length);
	b->length += raw.length;
}

// escaped returns how many bytes at the start have to be written as an escape.
static size_t escaped(const buffer *b, const char *at, size_t left) {
	unsigned char c = (unsigned char)*at;
	if (c < 0x20 || c == '"' || c == '\\' || (b->html && (c == '<' || c == '>' || c == '&'))) {
		return 1;
	}
	bool separator = c == 0xe2 && left >= 3 && (memcmp(at, "\xe2\x80\xa8", 3) == 0 || memcmp(at, "\xe2\x80\xa9", 3) == 0);
	return separator ? 3 : 0;
}

static void put_escape(buffer *b, const char *at) {
	static const char from[] = "\"\\\n\r\t\b\f", digits[] = "0123456789abcdef";
	static const char into[][3] = {"\\\"", "\\\\", "\\n", "\\r", "\\t", "\\b", "\\f"};
	const char *found = *at == 0 ? NULL : strchr(from, *at);
	if (found != NULL) {
		put(b, (text){into[found - from], 2});
		return;
	}
	if ((unsigned char)*at == 0xe2) {
		put(b, TEXT("\\u202"));
		put(b, at[2] == '\xa8' ? TEXT("8") : TEXT("9"));
		return;
	}
	put(b, TEXT("\\u00"));
	put(b, (text){&digits[*at >> 4], 1});
	put(b, (text){&digits[*at & 15], 1});
}

void put_string(buffer *b, text string) {
	put(b, TEXT("\""));
	size_t start = 0;
	for (size_t at = 0; at < string.length;) {
		size_t length = escaped(b, string.at + at, string.length - at);
		if (length > 0) {
			put(b, (text){string.at + start, at - start});
			put_escape(b, string.at + at);
			start = at + length;
		}
		at += length > 0 ? length : 1;
	}
	put(b, (text){string.at + start, string.length - start});
	put(b, TEXT("\""));
}

void put_next(buffer *b) {
	char last = b->length > 0 ? b->at[b->length - 1] : '{';
	if (last != '{' && last != '[' && last != ':') {
		put(b, TEXT(","));
	}
}

void put_key(buffer *b, text key) {
	put_next(b);
	put_string(b, key);
	put(b, TEXT(":"));
}

void put_number(buffer *b, int64_t number) {
	char digits[20], *at = digits + sizeof digits;
	uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
	do {
		*--at = (char)('0' + rest % 10);
	} while ((rest /= 10) > 0);
	if (number < 0) {
		*--at = '-';
	}
	put(b, (text){at, (size_t)(digits + sizeof digits - at)});
}
