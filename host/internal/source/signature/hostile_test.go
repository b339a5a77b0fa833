package signature

import (
	"encoding/base64"
	"encoding/json"
	"testing"
)

// TestHostileEntries is about entries of logs that a registry made up, of each kind with something left out: they are refused,
// and do no harm. Fuzzing hardly gets there, through three layers of encoding.
func TestHostileEntries(t *testing.T) {
	w := newWorld(t)
	verifier := newVerifier(t, w.identity(t, everything))
	signature := w.sigstore.classic(t, digest, builder, issuer)
	hash := `{"algorithm":"sha256","value":"` + digest[len("sha256:"):] + `"}`
	for _, body := range []string{
		`null`, `{}`, `[]`,
		`{"kind":"dsse","apiVersion":"0.0.1","spec":null}`,
		`{"kind":"dsse","apiVersion":"0.0.1","spec":{}}`,
		`{"kind":"dsse","apiVersion":"0.0.1","spec":{"envelopeHash":` + hash + `,"payloadHash":` + hash + `,"signatures":[]}}`,
		`{"kind":"dsse","apiVersion":"0.0.1","spec":{"envelopeHash":` + hash + `,"payloadHash":` + hash + `,"signatures":[null]}}`,
		`{"kind":"dsse","apiVersion":"0.0.1","spec":{"proposedContent":{"envelope":"{}","verifiers":["AA=="]}}}`,
		`{"kind":"hashedrekord","apiVersion":"0.0.1","spec":{}}`,
		`{"kind":"hashedrekord","apiVersion":"0.0.1","spec":{"signature":{"content":"AA==","publicKey":null},"data":{"hash":null}}}`,
		`{"kind":"hashedrekord","apiVersion":"0.0.1","spec":{"signature":{"content":"AA==","publicKey":{"content":"AA=="}},"data":{"hash":` + hash + `}}}`,
		`{"kind":"hashedrekord","apiVersion":"0.0.2","spec":{"hashedRekordV002":{"signature":{"content":"AA==","verifier":{}},"data":{}}}}`,
		`{"kind":"intoto","apiVersion":"0.0.2","spec":{"content":{"envelope":{"payloadType":"a","signatures":[]}}}}`,
		`{"kind":"intoto","apiVersion":"0.0.2","spec":{"content":{"envelope":{"payloadType":"a","signatures":[{}]}}}}`,
		`{"kind":"intoto","apiVersion":"0.0.1","spec":{"content":{"envelope":"{}"},"publicKey":"AA=="}}`,
		`{"kind":"rekord","apiVersion":"0.0.1","spec":{}}`,
	} {
		var entry map[string]any
		if err := json.Unmarshal(signature.RekorBundle, &entry); err != nil {
			t.Fatal(err)
		}
		entry["Payload"].(map[string]any)["body"] = base64.StdEncoding.EncodeToString([]byte(body))
		hostile := signature
		hostile.RekorBundle = must(json.Marshal(entry))
		if got, err := verifier.Verify(digest, []Signature{hostile}); err == nil {
			t.Errorf("%s: got %+v", body, got)
		}
	}
}
