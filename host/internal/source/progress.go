package source

import "io"

// progress returns r, with each read of it told to whoever wants to know.
func (c *Client) progress(ref Ref, r io.Reader, total int64) io.Reader {
	if c.options.Progress == nil {
		return r
	}
	ref.Digest = ""
	return &progressReader{r, Progress{URL: ref.String(), Total: total}, c.options.Progress}
}

type progressReader struct {
	io.Reader
	progress Progress
	tell     func(Progress)
}

// Read implements io.Reader.
func (r *progressReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.progress.Done += int64(n)
	r.tell(r.progress)
	return n, err
}
