package localcluster

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is a server that is started without envtest, which knows nothing of kube-controller-manager.
type process struct {
	command *exec.Cmd
	// exited is closed when the process has ended, after err was set.
	exited chan struct{}
	err    error
}

func startProcess(path string, args []string, output *os.File) (*process, error) {
	p := &process{command: exec.Command(path, args...), exited: make(chan struct{})}
	p.command.Stdout, p.command.Stderr = output, output
	p.command.SysProcAttr = ownProcessGroup()
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.exited)
		p.err = p.command.Wait()
	}()
	return p, nil
}

// ended says whether the process is known to have ended. No process never ends.
func (p *process) ended() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// stop asks the process to end, kills it when it does not, and waits for it.
func (p *process) stop() error {
	if p.ended() {
		return nil
	}
	if err := p.command.Process.Signal(syscall.SIGTERM); err == nil {
		select {
		case <-p.exited:
			return nil
		case <-time.After(stopTimeout):
		}
	}
	if err := p.command.Process.Kill(); err != nil {
		return fmt.Errorf("cannot end process %d: %w", p.command.Process.Pid, err)
	}
	<-p.exited
	return nil
}
