// Command serviceaddress is a Wasmloop module that writes a ConfigMap with the address of each Service.
package main

import (
	_ "embed"
	"strconv"
	"strings"

	"github.com/wasmloop/wasmloop/sdk"
)

//go:embed warmup.json
var warmUp []byte

func init() {
	sdk.Register(reconcile)
	sdk.WarmUp(warmUp)
}

func main() { sdk.Main() }

// reconcile wants a ConfigMap whose keys are environment variables: the Service's name in DNS, and its ports.
func reconcile(req *sdk.Request[Service]) (*sdk.Response, error) {
	address := ConfigMap{Object: sdk.NewObject("v1", "ConfigMap", sdk.Name(req.Name, "address"))}
	address.Data = map[string]string{"HOST": req.Name + "." + req.Namespace + ".svc"}
	for _, port := range req.Object.Spec.Ports {
		address.Data[variable(port)] = strconv.Itoa(int(port.Port))
	}
	return new(sdk.Response).Own(address), nil
}

// variable returns the name of a port's variable. The name of a port is a DNS label, and a single port may have none.
func variable(port Port) string {
	if port.Name == "" {
		return "PORT"
	}
	return "PORT_" + strings.ToUpper(strings.ReplaceAll(port.Name, "-", "_"))
}
