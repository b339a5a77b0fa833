package sdk_test

import (
	"fmt"

	"github.com/wasmloop/wasmloop/sdk"
)

// Greeting is the kind that the examples reconcile.
type Greeting struct {
	sdk.Object
	Spec struct {
		Text string `json:"text"`
	} `json:"spec"`
}

// ConfigMap is the part of a v1 ConfigMap that the examples own.
type ConfigMap struct {
	sdk.Object
	Data map[string]string `json:"data"`
}

// GreetingStatus is what the examples say about a Greeting.
type GreetingStatus struct {
	Conditions []sdk.Condition `json:"conditions"`
}

// exampleRequest is a request as the host sends it.
const exampleRequest = `{
	"controller": "greeting",
	"object": {
		"apiVersion": "example.com/v1", "kind": "Greeting",
		"metadata": {"name": "hello", "namespace": "default"},
		"spec": {"text": "Hello, world"}
	},
	"children": {"ConfigMap.v1": {"default/greeting-hello": {
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": {"name": "greeting-hello", "namespace": "default"},
		"data": {"text": "Hello"}
	}}},
	"related": {},
	"finalizing": false,
	"settings": {"suffix": "!"}
}`

// A module's whole logic: the object in, the children that should exist out.
func Example() {
	reconcile := func(req *sdk.Request[Greeting]) (*sdk.Response, error) {
		config := ConfigMap{
			Object: sdk.NewObject("v1", "ConfigMap", sdk.Name("greeting", req.Name)).
				WithLabels(sdk.AppLabels("greeting", req.Name)),
			Data: map[string]string{"text": req.Object.Spec.Text},
		}
		return new(sdk.Response).Own(config), nil
	}

	// A module does this in init, with sdk.Register(reconcile). The host then does what follows.
	response, err := sdk.NewHandler(reconcile)([]byte(exampleRequest))
	fmt.Println(string(response), err)
	// Output:
	// {"children":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"greeting-hello","labels":{"app.kubernetes.io/instance":"hello","app.kubernetes.io/name":"greeting"}},"data":{"text":"Hello, world"}}]} <nil>
}

// The status comes from what is observed, so it is right whatever has happened since.
func ExampleChild() {
	reconcile := func(req *sdk.Request[Greeting]) (*sdk.Response, error) {
		config, found, err := sdk.Child[ConfigMap](req, "v1", "ConfigMap", sdk.Name("greeting", req.Name))
		if err != nil {
			return nil, err
		}
		upToDate := found && config.Data["text"] == req.Object.Spec.Text
		status := GreetingStatus{Conditions: []sdk.Condition{{
			Type: "Ready", Status: sdk.StatusOf(upToDate), Reason: "Compared", Message: "the ConfigMap has " + config.Data["text"],
		}}}
		return &sdk.Response{Status: status}, nil
	}

	response, err := sdk.NewHandler(reconcile)([]byte(exampleRequest))
	fmt.Println(string(response), err)
	// Output:
	// {"status":{"conditions":[{"type":"Ready","status":"False","reason":"Compared","message":"the ConfigMap has Hello"}]}} <nil>
}

// A module without types of its own reads objects as maps.
func ExampleField() {
	reconcile := func(req *sdk.Request[map[string]any]) (*sdk.Response, error) {
		text, found := sdk.Field[string](req.Object, "spec", "text")
		fmt.Println(req.Kind, req.Name, "says", text, found)
		return nil, nil
	}

	response, err := sdk.NewHandler(reconcile)([]byte(exampleRequest))
	fmt.Println(string(response), err)
	// Output:
	// Greeting hello says Hello, world true
	// {} <nil>
}

// Defaults are set before the settings are decoded.
func ExampleRequest_DecodeSettings() {
	reconcile := func(req *sdk.Request[Greeting]) (*sdk.Response, error) {
		settings := struct {
			Prefix string `json:"prefix"`
			Suffix string `json:"suffix"`
		}{Prefix: "> ", Suffix: "."}
		if err := req.DecodeSettings(&settings); err != nil {
			return nil, err
		}
		fmt.Println(settings.Prefix + req.Object.Spec.Text + settings.Suffix)
		return nil, nil
	}

	_, err := sdk.NewHandler(reconcile)([]byte(exampleRequest))
	fmt.Println(err)
	// Output:
	// > Hello, world!
	// <nil>
}

// No opinion on the children, none at all, and a complete set are three different things.
func ExampleResponse_Own() {
	noOpinion := &sdk.Response{}
	none := new(sdk.Response).Own()
	two := new(sdk.Response).Own(
		sdk.NewObject("v1", "ConfigMap", "a"),
		sdk.NewObject("v1", "ConfigMap", "b"),
	)
	for _, response := range []*sdk.Response{noOpinion, none, two} {
		fmt.Println(response.Children() == nil, len(response.Children()))
	}
	// Output:
	// true 0
	// false 0
	// false 2
}

// What cannot get better by trying again is terminal.
func ExampleTerminalf() {
	err := fmt.Errorf("cannot paint: %w", sdk.Terminalf("there is no colour %q", "mauve"))
	fmt.Println(err, sdk.IsTerminal(err))
	// Output: cannot paint: there is no colour "mauve" true
}

// Names that fit stay readable; others keep being different.
func ExampleName() {
	fmt.Println(sdk.Name("viewer", "handbook"))
	fmt.Println(sdk.Name("viewer", "docs.example.com"))
	fmt.Println(sdk.Name("viewer", "a-very-long-name-that-has-grown-beyond-all-that-is-reasonable"))
	// Output:
	// viewer-handbook
	// viewer-docs-example-com-8883f482f8
	// viewer-a-very-long-name-that-has-grown-beyond-all-th-5b3f33a868
}

// Conditions are made anew in every call; the host keeps the times of their transitions.
func ExampleSetCondition() {
	var conditions []sdk.Condition
	sdk.SetCondition(&conditions, sdk.Condition{Type: "Ready", Status: sdk.Unknown, Reason: "Looking"})
	sdk.SetCondition(&conditions, sdk.Condition{Type: "Ready", Status: sdk.True, Reason: "Found"})
	fmt.Println(len(conditions), sdk.FindCondition(conditions, "Ready").Reason)
	// Output: 1 Found
}
