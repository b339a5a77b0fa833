// Command faults is a module that does what no module may. Its settings say what: each fault is one that check must find.
package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wasmloop/wasmloop/sdk"
)

func init() { sdk.Register(reconcile) }

func main() {}

// Thing is what is reconciled.
type Thing struct {
	sdk.Object
	Spec struct {
		Words map[string]string `json:"words"`
	} `json:"spec"`
}

// ConfigMap is the part of a ConfigMap that the module owns.
type ConfigMap struct {
	sdk.Object
	Data map[string]string `json:"data"`
}

func reconcile(req *sdk.Request[Thing]) (*sdk.Response, error) {
	var settings struct {
		Fault string `json:"fault"`
	}
	if err := req.DecodeSettings(&settings); err != nil {
		return nil, err
	}
	observed, err := sdk.Children[ConfigMap](req, "v1", "ConfigMap")
	if err != nil {
		return nil, err
	}
	seen := map[string]ConfigMap{}
	for _, each := range observed {
		seen[each.Metadata.Name] = each
	}
	fault, ok := faults[settings.Fault]
	if !ok {
		return nil, fmt.Errorf("there is no fault %q", settings.Fault)
	}
	response := fault(req, seen)
	if response == nil {
		return nil, sdk.Terminalf("it fails on purpose")
	}
	return response, nil
}

var faults = map[string]func(req *sdk.Request[Thing], seen map[string]ConfigMap) *sdk.Response{
	"none": func(req *sdk.Request[Thing], _ map[string]ConfigMap) *sdk.Response {
		words := slices.Sorted(maps.Keys(req.Object.Spec.Words))
		return new(sdk.Response).Own(configMap(req.Name, strings.Join(words, " ")), configMap(req.Name+"-other", "x"))
	},
	// It appends to what it has written before.
	"append": func(req *sdk.Request[Thing], seen map[string]ConfigMap) *sdk.Response {
		return new(sdk.Response).Own(configMap(req.Name, seen[req.Name].Data["text"]+"x"))
	},
	// It depends on the order of a map.
	"maporder": func(req *sdk.Request[Thing], _ map[string]ConfigMap) *sdk.Response {
		return new(sdk.Response).Own(configMap(req.Name, strings.Join(slices.Collect(maps.Keys(req.Object.Spec.Words)), " ")))
	},
	// It depends on the time.
	"time": func(req *sdk.Request[Thing], _ map[string]ConfigMap) *sdk.Response {
		return new(sdk.Response).Own(configMap(req.Name, time.Now().Format(time.DateOnly)))
	},
	// It wants the one when it sees the other.
	"flipflop": func(req *sdk.Request[Thing], seen map[string]ConfigMap) *sdk.Response {
		if seen[req.Name].Data["text"] == "ping" {
			return new(sdk.Response).Own(configMap(req.Name, "pong"))
		}
		return new(sdk.Response).Own(configMap(req.Name, "ping"))
	},
	// It takes its first child as a sign that it has made the second one, too.
	"crash": func(req *sdk.Request[Thing], seen map[string]ConfigMap) *sdk.Response {
		first, second := configMap(req.Name+"-1", "x"), configMap(req.Name+"-2", "x")
		_, madeFirst := seen[req.Name+"-1"]
		_, madeSecond := seen[req.Name+"-2"]
		if madeFirst && !madeSecond {
			return new(sdk.Response).Own(first)
		}
		return new(sdk.Response).Own(first, second)
	},
	// It says that it failed.
	"fail": func(*sdk.Request[Thing], map[string]ConfigMap) *sdk.Response { return nil },
	// It wants a kind that it may not have.
	"kind": func(req *sdk.Request[Thing], _ map[string]ConfigMap) *sdk.Response {
		return new(sdk.Response).Own(sdk.NewObject("v1", "Secret", req.Name))
	},
	// It fails with a word that is long.
	"trap": func(req *sdk.Request[Thing], _ map[string]ConfigMap) *sdk.Response {
		for _, word := range req.Object.Spec.Words {
			if len(word) > 255 {
				os.Exit(3)
			}
		}
		return new(sdk.Response).Own(configMap(req.Name, "x"))
	},
	// It never ends when there is no word.
	"loop": func(req *sdk.Request[Thing], _ map[string]ConfigMap) *sdk.Response {
		for i := 0; len(req.Object.Spec.Words) == 0; i++ {
			if i < 0 {
				break
			}
		}
		return new(sdk.Response).Own(configMap(req.Name, "x"))
	},
}

func configMap(name, text string) ConfigMap {
	made := ConfigMap{Object: sdk.NewObject("v1", "ConfigMap", name), Data: map[string]string{"text": text}}
	return made
}
