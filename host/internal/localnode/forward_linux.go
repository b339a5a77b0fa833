package localnode

import (
	"io"
	"net"
	"os"
	"strconv"
	"sync"
)

func osFile(fd uintptr) *os.File { return os.NewFile(fd, "") }

// forward copies what comes on a connection to a port in these namespaces, and back.
func forward(outer net.Conn, port int) {
	defer func() { _ = outer.Close() }() // there is nothing more to do with it
	inner, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return
	}
	defer func() { _ = inner.Close() }() // there is nothing more to do with it
	var both sync.WaitGroup
	both.Go(func() { pour(inner, outer) })
	both.Go(func() { pour(outer, inner) })
	both.Wait()
}

// pour copies until the source ends, and passes on that it has.
func pour(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.(*net.TCPConn).CloseWrite()
}
