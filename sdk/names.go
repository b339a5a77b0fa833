package sdk

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"maps"
	"strings"

	"github.com/wasmloop/wasmloop/sdk/internal/codec"
)

// maxLabel is how long a DNS label, and so most names, and a label value may be.
const maxLabel = 63

// hashDigits is how many digits of a hash make a shortened name unique again.
const hashDigits = 10

// Name joins parts with "-" to a child's name, such as Name("viewer", req.Name). The result is a valid DNS label, which
// the names of all common kinds may be: where the joined parts are longer than 63 characters, or have characters other
// than lower-case letters, digits and "-" (an object's name may have dots, a Service's may not), they are shortened or
// replaced, and a hash of the original is appended, so that different parts keep giving different names.
func Name(parts ...string) string {
	joined := strings.Join(parts, "-")
	if isLabel(joined) {
		return joined
	}
	return shorten(strings.Trim(strings.Map(labelRune, joined), "-"), joined)
}

// isLabel tells whether a text is a DNS label, or empty.
func isLabel(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case c == '-' && i > 0 && i < len(text)-1:
		default:
			return false
		}
	}
	return len(text) <= maxLabel
}

// labelRune returns what stands for c in a DNS label.
func labelRune(c rune) rune {
	switch {
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	case 'A' <= c && c <= 'Z':
		return c - 'A' + 'a'
	default:
		return '-'
	}
}

// shorten cuts text so that a hash of original fits behind it.
func shorten(text, original string) string {
	keep := min(len(text), maxLabel-hashDigits-1)
	prefix := strings.TrimRight(text[:keep], "-._")
	return strings.TrimLeft(prefix+"-"+hash([]byte(original))[:hashDigits], "-")
}

// LabelValue returns text as a label's value: as it is if it has at most 63 characters, else shortened, with a hash.
func LabelValue(text string) string {
	if len(text) <= maxLabel {
		return text
	}
	return shorten(text, text)
}

// AppLabels returns the recommended labels app.kubernetes.io/name and app.kubernetes.io/instance for the children that
// run app on behalf of the object named instance. They make a good selector, since they never change.
func AppLabels(app, instance string) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":     LabelValue(app),
		"app.kubernetes.io/instance": LabelValue(instance),
	}
}

// MergeLabels returns the union of sets of labels or annotations. Later ones win.
func MergeLabels(sets ...map[string]string) map[string]string {
	merged := make(map[string]string)
	for _, set := range sets {
		maps.Copy(merged, set)
	}
	return merged
}

// Hash returns a short hash of value's JSON encoding, 16 hexadecimal digits. In an annotation of a pod template it
// makes pods roll when what they mount changes. It is no protection against someone who looks for collisions.
func Hash(value any) string {
	data, err := codec.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("sdk.Hash: %v", err)) // only a programming mistake, like a channel in a struct
	}
	return hash(data)
}

// hash is FNV-1a, and a last mixing step so that each digit depends on all of the data. A cryptographic hash would make
// every module 160 KB larger.
func hash(data []byte) string {
	fnv1a := fnv.New64a()
	fnv1a.Write(data)
	sum := fnv1a.Sum64()
	sum = (sum ^ sum>>33) * 0xff51afd7ed558ccd
	sum = (sum ^ sum>>33) * 0xc4ceb9fe1a85ec53
	var digits [8]byte
	binary.BigEndian.PutUint64(digits[:], sum^sum>>33)
	return hex.EncodeToString(digits[:])
}
