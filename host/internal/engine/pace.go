package engine

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"

	"github.com/wasmloop/wasmloop/host/internal/reconcile"
)

// A controller that takes the place of another one looks at all its objects again, so many a second, and paceBurst at once. So a
// new module of many objects leaves room for what happens meanwhile, here and in the API server, and somebody can stop it who sees
// that it does harm.
const paceRate, paceBurst = 200, 20

// paced is a queue that gives out what nothing has happened to at a bounded rate.
type paced struct {
	priorityqueue.PriorityQueue[key]
	limiter *rate.Limiter

	mu sync.Mutex
	// due is when those come that have been put into the queue in that way, and have not come yet.
	due map[key]time.Time
}

// newPaced is a controller's NewQueue.
func newPaced(controller string, backoff workqueue.TypedRateLimiter[key]) queue {
	ordered := priorityqueue.New(controller, func(o *priorityqueue.Opts[key]) { o.RateLimiter = backoff })
	return &paced{PriorityQueue: ordered, limiter: rate.NewLimiter(paceRate, paceBurst), due: map[key]time.Time{}}
}

// AddWithOpts implements priorityqueue.PriorityQueue. What has an urgent reason, too, does not wait.
func (p *paced) AddWithOpts(options priorityqueue.AddOpts, keys ...key) {
	if options.Priority == nil || *options.Priority > reconcile.ResyncPriority || options.After > 0 || options.RateLimited {
		p.PriorityQueue.AddWithOpts(options, keys...)
		return
	}
	for _, k := range keys {
		options.After = p.after(k, time.Now())
		p.PriorityQueue.AddWithOpts(options, k)
	}
}

// after returns how long an object is to wait. One that is put into the queue by its children, too, waits once.
func (p *paced) after(k key, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, waits := p.due[k]
	if !waits {
		at = now.Add(p.limiter.ReserveN(now, 1).DelayFrom(now))
		p.due[k] = at
	}
	return max(at.Sub(now), 0)
}

// GetWithPriority implements priorityqueue.PriorityQueue.
func (p *paced) GetWithPriority() (k key, priority int, shutdown bool) {
	k, priority, shutdown = p.PriorityQueue.GetWithPriority()
	p.came(k)
	return k, priority, shutdown
}

// Get implements workqueue.TypedInterface.
func (p *paced) Get() (k key, shutdown bool) {
	k, _, shutdown = p.GetWithPriority()
	return k, shutdown
}

func (p *paced) came(k key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.due, k)
}
