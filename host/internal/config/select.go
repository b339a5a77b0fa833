package config

import (
	"fmt"
	"slices"
	"strings"
)

// Select keeps the controllers that the patterns name, as kube-controller-manager's --controllers does: "foo" is on,
// "-foo" off, and "*" stands for all that are not named. A pattern that names no controller is an error.
func (c *Config) Select(patterns []string) error {
	for _, pattern := range patterns {
		name := strings.TrimPrefix(pattern, "-")
		if pattern != "*" && !slices.ContainsFunc(c.Controllers, func(c Controller) bool { return c.Name == name }) {
			return fmt.Errorf("no controller is named %q; there are %s", name, strings.Join(c.names(), ", "))
		}
	}
	c.Controllers = slices.DeleteFunc(c.Controllers, func(c Controller) bool { return !selected(patterns, c.Name) })
	if len(c.Controllers) == 0 {
		return fmt.Errorf("%q leaves no controller to run", strings.Join(patterns, ","))
	}
	return nil
}

// selected goes by the first pattern that names the controller.
func selected(patterns []string, name string) bool {
	for _, pattern := range patterns {
		switch pattern {
		case name:
			return true
		case "-" + name:
			return false
		}
	}
	return slices.Contains(patterns, "*")
}

func (c *Config) names() []string {
	names := make([]string, len(c.Controllers))
	for i, controller := range c.Controllers {
		names[i] = controller.Name
	}
	return names
}
