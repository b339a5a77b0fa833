package signature

import (
	"encoding/json"
	"errors"
	"fmt"
)

// payloadType is what cosign calls its signatures. The same keys may sign JSON of other types.
const payloadType = "cosign container image signature"

// payload is what is signed in the classic form. Fields that decide nothing are left out when it is read.
type payload struct {
	Critical critical `json:"critical"`
	// Optional is always there in what cosign writes.
	Optional map[string]any `json:"optional"`
}

type critical struct {
	Identity struct {
		DockerReference string `json:"docker-reference"`
	} `json:"identity"`
	Image struct {
		DockerManifestDigest string `json:"docker-manifest-digest"`
	} `json:"image"`
	Type string `json:"type"`
}

func newPayload(digest, reference string) ([]byte, error) {
	signed := payload{Critical: critical{Type: payloadType}}
	signed.Critical.Identity.DockerReference = reference
	signed.Critical.Image.DockerManifestDigest = digest
	return json.Marshal(signed)
}

// checkPayload wants the payload to be a signature of this manifest. As in cosign, the digest alone decides: the reference
// is where the module was when it was signed, and a copy in another registry is the same module.
func checkPayload(data []byte, digest string) error {
	var signed payload
	if err := json.Unmarshal(data, &signed); err != nil {
		return errors.New("its payload is not JSON as cosign writes it")
	}
	if signed.Critical.Type != payloadType {
		return fmt.Errorf("its payload is of the type %q, not %q", signed.Critical.Type, payloadType)
	}
	if signed.Critical.Image.DockerManifestDigest != digest {
		return fmt.Errorf("it is of another manifest, %q", signed.Critical.Image.DockerManifestDigest)
	}
	return nil
}
