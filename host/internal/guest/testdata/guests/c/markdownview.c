// The markdownview module in C: for each request it answers byte for byte what modules/markdownview answers.
#include "json.h"

#include <stdlib.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("wasmloop"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

IMPORT(request_len) size_t request_len(void);
IMPORT(request_read) size_t request_read(char *to, size_t offset, size_t length);
IMPORT(response_write) void response_write(const char *from, size_t length);
IMPORT(error) void report_error(const char *from, size_t length);

enum { MAX_LABEL = 63, HASH_DIGITS = 10, MAX_SIZE = 1 << 20 };

#define CHECKSUM TEXT("view.example.com/markdowns-checksum")

typedef struct {
	text name, image, checksum;
	int64_t replicas;
	const value **markdowns; // sorted by their keys
	size_t count;
} view;

typedef struct {
	const char *phase;
	int64_t generation, available_replicas;
	bool available, degraded;
	text available_reason, available_message, reason, message;
} status;

static text in_buffer(const buffer *b) { return (text){b->at, b->length}; }

// hash is FNV-1a with a last mixing step, as 16 hexadecimal digits.
static text hash(text data) {
	uint64_t sum = 0xcbf29ce484222325;
	for (size_t i = 0; i < data.length; i++) {
		sum = (sum ^ (unsigned char)data.at[i]) * 0x100000001b3;
	}
	sum = (sum ^ sum >> 33) * 0xff51afd7ed558ccd;
	sum = (sum ^ sum >> 33) * 0xc4ceb9fe1a85ec53;
	sum ^= sum >> 33;
	char *digits = arena(16);
	for (int i = 0; i < 16; i++) {
		digits[i] = "0123456789abcdef"[sum >> (60 - 4 * i) & 15];
	}
	return (text){digits, 16};
}

static text shorten(text label, text original) {
	size_t keep = label.length < MAX_LABEL - HASH_DIGITS - 1 ? label.length : MAX_LABEL - HASH_DIGITS - 1;
	while (keep > 0 && strchr("-._", label.at[keep - 1]) != NULL) {
		keep--;
	}
	buffer b = {0};
	put(&b, (text){label.at, keep});
	put(&b, TEXT("-"));
	put(&b, (text){hash(original).at, HASH_DIGITS});
	text name = in_buffer(&b);
	for (; name.length > 0 && name.at[0] == '-'; name.at++, name.length--) {
	}
	return name;
}

// child_name joins a prefix and a name to a DNS label. Where that takes changing characters, a hash makes it unique.
static text child_name(text prefix, text name) {
	buffer joined = {0}, mapped = {0};
	put(&joined, prefix);
	put(&joined, TEXT("-"));
	put(&joined, name);
	for (size_t i = 0; i < joined.length; i++) {
		char c = joined.at[i];
		if ((c & 0xc0) == 0x80) {
			continue; // not the first byte of a character
		}
		if (c >= 'A' && c <= 'Z') {
			c += 'a' - 'A';
		} else if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) {
			c = '-';
		}
		put(&mapped, (text){&c, 1});
	}
	text label = in_buffer(&mapped);
	for (; label.length > 0 && label.at[0] == '-'; label.at++, label.length--) {
	}
	for (; label.length > 0 && label.at[label.length - 1] == '-'; label.length--) {
	}
	if (label.length <= MAX_LABEL && text_equal(label, in_buffer(&joined))) {
		return label;
	}
	return shorten(label, in_buffer(&joined));
}

static int by_key(const void *a, const void *b) {
	text x = (*(const value *const *)a)->key, y = (*(const value *const *)b)->key;
	int order = memcmp(x.at, y.at, x.length < y.length ? x.length : y.length);
	return order != 0 ? order : (x.length > y.length) - (x.length < y.length);
}

static void put_markdowns(buffer *b, const view *v) {
	put(b, TEXT("{"));
	for (size_t i = 0; i < v->count; i++) {
		put_key(b, v->markdowns[i]->key);
		put_string(b, v->markdowns[i]->text);
	}
	put(b, TEXT("}"));
}

static view view_of(const value *object) {
	const value *spec = json_get(object, TEXT("spec")), *replicas = json_get(spec, TEXT("replicas"));
	view v = {
		.name = json_get(json_get(object, TEXT("metadata")), TEXT("name"))->text,
		.image = json_get(spec, TEXT("viewerImage"))->text,
		.replicas = replicas->kind == NUMBER ? json_whole(replicas) : 1,
	};
	if (v.image.length == 0) {
		v.image = TEXT("peaceiris/mdbook:latest");
	}
	const value *first = json_get(spec, TEXT("markdowns"))->first;
	for (const value *one = first; one != NULL; one = one->next) {
		v.count++;
	}
	v.markdowns = arena((v.count + 1) * sizeof *v.markdowns);
	size_t i = 0;
	for (const value *one = first; one != NULL; one = one->next) {
		v.markdowns[i++] = one;
	}
	qsort(v.markdowns, v.count, sizeof *v.markdowns, by_key);
	buffer b = {.html = true};
	put_markdowns(&b, &v);
	v.checksum = hash(in_buffer(&b));
	return v;
}

// problem says why the spec cannot be served, or "".
static text problem(const view *v) {
	bool has_summary = false;
	size_t size = 0;
	for (size_t i = 0; i < v->count; i++) {
		has_summary |= text_equal(v->markdowns[i]->key, TEXT("SUMMARY.md"));
		size += v->markdowns[i]->key.length + v->markdowns[i]->text.length;
	}
	if (!has_summary) {
		return TEXT("spec.markdowns must have a SUMMARY.md");
	}
	if (v->replicas < 0) {
		return TEXT("spec.replicas must not be negative");
	}
	if (size <= MAX_SIZE) {
		return TEXT("");
	}
	buffer b = {0};
	put(&b, TEXT("spec.markdowns has "));
	put_number(&b, (int64_t)size);
	put(&b, TEXT(" bytes, and a ConfigMap holds "));
	put_number(&b, MAX_SIZE);
	return in_buffer(&b);
}

// condition returns a Deployment's condition of a type.
static const value *condition(const value *deployment_status, text type) {
	for (const value *c = json_get(deployment_status, TEXT("conditions"))->first; c != NULL; c = c->next) {
		if (text_equal(json_get(c, TEXT("type"))->text, type)) {
			return c;
		}
	}
	return json_get(deployment_status, TEXT(""));
}

static bool has_status(const value *c, text wanted) { return text_equal(json_get(c, TEXT("status"))->text, wanted); }

static void degrade(status *s, text reason, text message) {
	s->phase = "Degraded";
	s->degraded = true;
	s->reason = reason;
	s->message = message;
}

// rolled_out tells whether the Deployment is the one that is wanted, and all its Pods are new and available.
static bool rolled_out(const view *v, const value *deployment) {
	const value *spec = json_get(deployment, TEXT("spec")), *observed = json_get(deployment, TEXT("status"));
	const value *template = json_get(spec, TEXT("template"));
	const value *container = json_get(json_get(template, TEXT("spec")), TEXT("containers"))->first;
	const value *annotations = json_get(json_get(template, TEXT("metadata")), TEXT("annotations"));
	int64_t generation = json_whole(json_get(json_get(deployment, TEXT("metadata")), TEXT("generation")));
	return text_equal(json_get(annotations, CHECKSUM)->text, v->checksum) && container != NULL &&
	       text_equal(json_get(container, TEXT("image"))->text, v->image) &&
	       generation == json_whole(json_get(observed, TEXT("observedGeneration"))) &&
	       json_whole(json_get(spec, TEXT("replicas"))) == v->replicas &&
	       json_whole(json_get(observed, TEXT("updatedReplicas"))) == v->replicas &&
	       json_whole(json_get(observed, TEXT("replicas"))) == v->replicas &&
	       json_whole(json_get(observed, TEXT("availableReplicas"))) == v->replicas;
}

static void observe(status *s, const view *v, const value *deployment) {
	const value *observed = json_get(deployment, TEXT("status"));
	s->available_replicas = json_whole(json_get(observed, TEXT("availableReplicas")));
	buffer b = {0};
	put_number(&b, s->available_replicas);
	put(&b, TEXT(" of "));
	put_number(&b, v->replicas);
	put(&b, TEXT(" replicas are available"));
	s->available_message = in_buffer(&b);
	s->available = has_status(condition(observed, TEXT("Available")), TEXT("True"));
	s->available_reason = s->available ? TEXT("MinimumReplicasAvailable") : TEXT("MinimumReplicasUnavailable");
	s->phase = rolled_out(v, deployment) ? "Available" : "Progressing";
	const value *refused = condition(observed, TEXT("ReplicaFailure")), *stuck = condition(observed, TEXT("Progressing"));
	if (has_status(refused, TEXT("True"))) {
		degrade(s, json_get(refused, TEXT("reason"))->text, json_get(refused, TEXT("message"))->text);
	} else if (has_status(stuck, TEXT("False"))) {
		degrade(s, json_get(stuck, TEXT("reason"))->text, json_get(stuck, TEXT("message"))->text);
	}
}

static void field(buffer *b, text key, text string) {
	put_key(b, key);
	put_string(b, string);
}

static void put_condition(buffer *b, text type, bool holds, text reason, text message) {
	put_next(b);
	put(b, TEXT("{"));
	field(b, TEXT("type"), type);
	field(b, TEXT("status"), holds ? TEXT("True") : TEXT("False"));
	field(b, TEXT("reason"), reason);
	field(b, TEXT("message"), message);
	put(b, TEXT("}"));
}

static void put_status(buffer *b, const status *s) {
	put_key(b, TEXT("status"));
	put(b, TEXT("{\"observedGeneration\":"));
	put_number(b, s->generation);
	field(b, TEXT("phase"), (text){s->phase, strlen(s->phase)});
	put_key(b, TEXT("availableReplicas"));
	put_number(b, s->available_replicas);
	put_key(b, TEXT("conditions"));
	put(b, TEXT("["));
	put_condition(b, TEXT("Available"), s->available, s->available_reason, s->available_message);
	put_condition(b, TEXT("Degraded"), s->degraded, s->reason, s->message);
	put(b, TEXT("]}"));
}

static void put_labels(buffer *b, text key, const view *v) {
	put_key(b, key);
	put(b, TEXT("{"));
	field(b, TEXT("app.kubernetes.io/instance"), v->name.length <= MAX_LABEL ? v->name : shorten(v->name, v->name));
	put(b, TEXT(",\"app.kubernetes.io/name\":\"markdownview\"}"));
}

static void put_head(buffer *b, const view *v, text version_and_kind, text name) {
	put_next(b);
	put(b, TEXT("{"));
	put(b, version_and_kind);
	put(b, TEXT(",\"metadata\":{"));
	field(b, TEXT("name"), name);
	put_labels(b, TEXT("labels"), v);
	put(b, TEXT("}"));
}

static void put_deployment(buffer *b, const view *v) {
	put_head(b, v, TEXT("\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\""), child_name(TEXT("viewer"), v->name));
	put(b, TEXT(",\"spec\":{\"replicas\":"));
	put_number(b, v->replicas);
	put(b, TEXT(",\"selector\":{"));
	put_labels(b, TEXT("matchLabels"), v);
	put(b, TEXT("},\"template\":{\"metadata\":{"));
	put_labels(b, TEXT("labels"), v);
	put(b, TEXT(",\"annotations\":{"));
	field(b, CHECKSUM, v->checksum);
	put(b, TEXT("}},\"spec\":{\"automountServiceAccountToken\":false,\"enableServiceLinks\":false,"
	            "\"securityContext\":{\"runAsNonRoot\":true,\"runAsUser\":65532,\"runAsGroup\":65532,\"fsGroup\":65532,"
	            "\"seccompProfile\":{\"type\":\"RuntimeDefault\"}},\"containers\":[{\"name\":\"mdbook\""));
	field(b, TEXT("image"), v->image);
	put(b, TEXT(",\"command\":[\"mdbook\"],\"args\":[\"serve\",\"--hostname\",\"0.0.0.0\"],\"workingDir\":\"/book\","
	            "\"ports\":[{\"name\":\"http\",\"containerPort\":3000,\"protocol\":\"TCP\"}],"
	            "\"readinessProbe\":{\"httpGet\":{\"path\":\"/\",\"port\":\"http\"}},"
	            "\"livenessProbe\":{\"httpGet\":{\"path\":\"/\",\"port\":\"http\"}},"
	            "\"resources\":{\"requests\":{\"cpu\":\"10m\",\"memory\":\"32Mi\"},\"limits\":{\"memory\":\"256Mi\"}},"
	            "\"securityContext\":{\"allowPrivilegeEscalation\":false,\"readOnlyRootFilesystem\":true,"
	            "\"capabilities\":{\"drop\":[\"ALL\"]}},\"volumeMounts\":[{\"name\":\"book\",\"mountPath\":\"/book\"},"
	            "{\"name\":\"markdowns\",\"mountPath\":\"/book/src\",\"readOnly\":true}]}],"
	            "\"volumes\":[{\"name\":\"book\",\"emptyDir\":{}},{\"name\":\"markdowns\",\"configMap\":{"));
	field(b, TEXT("name"), child_name(TEXT("markdowns"), v->name));
	put(b, TEXT("}}]}}}}"));
}

static void put_children(buffer *b, const view *v) {
	put_key(b, TEXT("children"));
	put(b, TEXT("["));
	put_head(b, v, TEXT("\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\""), child_name(TEXT("markdowns"), v->name));
	put_key(b, TEXT("data"));
	put_markdowns(b, v);
	put(b, TEXT("}"));
	put_deployment(b, v);
	put_head(b, v, TEXT("\"apiVersion\":\"v1\",\"kind\":\"Service\""), child_name(TEXT("viewer"), v->name));
	put(b, TEXT(",\"spec\":{"));
	put_labels(b, TEXT("selector"), v);
	put(b, TEXT(",\"ports\":[{\"name\":\"http\",\"port\":80,\"targetPort\":\"http\",\"protocol\":\"TCP\"}]}}]"));
}

// put_invalid says what is wrong. It has no opinion on the children: the last good version stays up.
static void put_invalid(buffer *b, status *s, text message) {
	degrade(s, TEXT("InvalidSpec"), message);
	put_status(b, s);
	put_key(b, TEXT("events"));
	put(b, TEXT("[{\"type\":\"Warning\",\"reason\":\"InvalidSpec\""));
	field(b, TEXT("message"), message);
	put(b, TEXT("}]"));
}

EXPORT(wasmloop_abi_version) int abi_version(void) { return 1; }

static int refuse(text message) {
	report_error(message.at, message.length);
	return 1;
}

EXPORT(reconcile) int reconcile(void) {
	size_t length = request_len();
	char *document = arena(length);
	const value *request = json_parse((text){document, request_read(document, 0, length)});
	if (request == NULL) {
		return refuse(TEXT("the request is no JSON"));
	}
	const value *object = json_get(request, TEXT("object")), *metadata = json_get(object, TEXT("metadata"));
	const value *deployments = json_get(json_get(request, TEXT("children")), TEXT("Deployment.apps/v1"));
	if (deployments->kind != OBJECT) {
		return refuse(TEXT("terminal: children of kind Deployment.apps/v1 are not in the request"));
	}
	view v = view_of(object);
	status s = {
		.phase = "Pending",
		.generation = json_whole(json_get(metadata, TEXT("generation"))),
		.available_reason = TEXT("NoDeployment"),
		.available_message = TEXT("the Deployment does not exist yet"),
		.reason = TEXT("AsExpected"),
	};
	buffer key = {0}, response = {0};
	put(&key, json_get(metadata, TEXT("namespace"))->text);
	put(&key, TEXT("/"));
	put(&key, child_name(TEXT("viewer"), v.name));
	const value *deployment = json_get(deployments, in_buffer(&key));
	if (deployment->kind == OBJECT) {
		observe(&s, &v, deployment);
	}
	text message = problem(&v);
	put(&response, TEXT("{"));
	if (message.length > 0) {
		put_invalid(&response, &s, message);
	} else {
		put_children(&response, &v);
		put_status(&response, &s);
	}
	put(&response, TEXT("}"));
	response_write(response.at, response.length);
	return 0;
}
