package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// passwordVariables may have the password of a private key. The first that is set has it, even if it is empty.
var passwordVariables = []string{"WASMLOOP_KEY_PASSWORD", "COSIGN_PASSWORD"}

// newPassword returns a password for a new key. It asks twice, as nobody sees what they type.
func newPassword(ctx context.Context, path string, stderr io.Writer) ([]byte, error) {
	if password, ok := givenPassword(); ok {
		return password, nil
	}
	first, err := askPassword(ctx, "New password for "+path, stderr)
	if err != nil {
		return nil, err
	}
	second, err := askPassword(ctx, "Once more", stderr)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, second) {
		return nil, errors.New("the two passwords differ: nothing was written")
	}
	return first, nil
}

// keyPassword returns the password of a key that there is.
func keyPassword(ctx context.Context, path string, stderr io.Writer) ([]byte, error) {
	if password, ok := givenPassword(); ok {
		return password, nil
	}
	return askPassword(ctx, "Password of "+path, stderr)
}

func givenPassword() ([]byte, bool) {
	for _, variable := range passwordVariables {
		if password, ok := os.LookupEnv(variable); ok {
			return []byte(password), true
		}
	}
	return nil, false
}

// askPassword asks on the terminal, without showing what is typed.
func askPassword(ctx context.Context, question string, stderr io.Writer) ([]byte, error) {
	terminal := int(os.Stdin.Fd())
	shown, err := term.GetState(terminal)
	if err != nil {
		return nil, fmt.Errorf("there is no terminal to ask for the password on: set %s", passwordVariables[0])
	}
	fmt.Fprint(stderr, question+": ")
	defer fmt.Fprintln(stderr)
	type answer struct {
		password []byte
		err      error
	}
	answers := make(chan answer, 1)
	go func() {
		password, err := term.ReadPassword(terminal)
		answers <- answer{password, err}
	}()
	select {
	case answer := <-answers:
		if answer.err != nil {
			return nil, fmt.Errorf("cannot read the password: %w", answer.err)
		}
		return answer.password, nil
	case <-ctx.Done(): // the terminal would go on hiding what is typed
		return nil, errors.Join(ctx.Err(), term.Restore(terminal, shown))
	}
}
