// Package chart tests the Helm chart as its users meet it: rendered by the real Helm, taken by a real API server, and run with just
// the rights that it gives.
package chart
