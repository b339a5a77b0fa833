package main

import (
	"context"
	"maps"

	"k8s.io/component-base/cli"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// What a node takes. kubelet and kube-proxy work on Linux alone, and without them nobody needs the others.
func init() {
	maps.Copy(components, map[string]func() int{
		"kubelet":        func() int { return cli.Run(kubelet.NewKubeletCommand(context.Background())) },
		"kube-scheduler": func() int { return cli.Run(scheduler.NewSchedulerCommand()) },
		"kube-proxy":     func() int { return cli.Run(proxy.NewProxyCommand()) },
		"coredns":        serveNames,
	})
}
