package contest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/wasmloop/wasmloop/host/internal/localcluster"
)

// Plane is a control plane without kube-controller-manager, whose API server logs each request.
type Plane struct {
	// Client is that of the benchmark. It is not limited.
	Client dynamic.Interface
	// Dir is a folder that goes with the control plane.
	Dir string

	audit   string
	cluster *localcluster.Cluster
}

// StartPlane starts a control plane with the project's CRDs.
func StartPlane(ctx context.Context) (p *Plane, err error) {
	p = &Plane{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Stop())
		}
	}()
	if p.Dir, err = os.MkdirTemp("", "wasmloop-bench-"); err != nil {
		return p, err
	}
	p.audit = filepath.Join(p.Dir, "audit.log")
	policy := filepath.Join(p.Dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return p, err
	}
	p.cluster, err = localcluster.Start(ctx, localcluster.Options{
		CRDs:                     []string{"config/crd"},
		WithoutControllerManager: true,
		APIServerFlags: map[string]string{
			"audit-log-path": p.audit, "audit-policy-file": policy, "audit-log-mode": "blocking",
			"service-cluster-ip-range": "10.0.0.0/16", // the usual /24 has no room for so many Services
		},
	})
	if err != nil {
		return p, err
	}
	config := rest.CopyConfig(p.cluster.Config())
	config.QPS, config.UserAgent = -1, "bench"
	p.Client, err = dynamic.NewForConfig(config)
	return p, err
}

// Stop ends the control plane and removes all that it kept.
func (p *Plane) Stop() (err error) {
	if p.cluster != nil {
		err = p.cluster.Stop()
	}
	if p.Dir != "" {
		err = errors.Join(err, os.RemoveAll(p.Dir))
	}
	return err
}

// Launch starts a contender on the control plane.
func (p *Plane) Launch(c Contender) (*Process, error) { return c.Start(p.cluster.KubeconfigPath()) }

// Audit returns what counts the requests of a contender.
func (p *Plane) Audit(c Contender) *AuditLog { return &AuditLog{path: p.audit, agent: c.Agent} }

// Each calls do with the numbers below n, a few at the same time, and returns the first error, after which no other is begun.
func Each(n int, do func(i int) error) error {
	const atOnce = 4
	next, failed := make(chan int), make(chan error, atOnce)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	var err error
	for i := 0; i < n && err == nil; i++ {
		select {
		case next <- i:
		case err = <-failed:
		}
	}
	close(next)
	workers.Wait()
	select {
	case late := <-failed:
		err = errors.Join(err, late)
	default:
	}
	return err
}
