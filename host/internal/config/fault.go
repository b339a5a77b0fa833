package config

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// Fault is one thing that is wrong with a config file. Errors of Load and Parse join one or more of them.
type Fault struct {
	// File is the file's name as it was given.
	File string
	// Line and Column are where in the file, counted from 1. Column is 0 where only the line is known, and both are
	// where the fault is the file's as a whole.
	Line, Column int
	// Message says what is wrong, and with which field.
	Message string
}

// Error returns FILE:LINE:COLUMN: MESSAGE, as editors and terminals can follow it.
func (f *Fault) Error() string {
	place := f.File
	for _, number := range []int{f.Line, f.Column} {
		if number > 0 {
			place += ":" + strconv.Itoa(number)
		}
	}
	return place + ": " + f.Message
}

// faultAt returns a Fault of a document that does not know its file's name.
func faultAt(at position, format string, args ...any) *Fault {
	return &Fault{Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...)}
}

// yamlLine matches the messages of the YAML parser.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// faultOf makes a Fault of any error of reading a document.
func faultOf(err error) *Fault {
	var fault *Fault
	if errors.As(err, &fault) {
		return fault
	}
	message := err.Error()
	match := yamlLine.FindStringSubmatch(message)
	if match == nil {
		return &Fault{Message: message}
	}
	line, _ := strconv.Atoi(match[1]) // digits or nothing
	return &Fault{Line: line, Message: message[len(match[0]):]}
}
