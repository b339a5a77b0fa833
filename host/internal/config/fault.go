package config

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// FaultError is one thing that is wrong with a config file. Errors of Load and Parse join one or more of them.
type FaultError struct {
	// File is the file's name as it was given.
	File string
	// Line and Column are where in the file, counted from 1. Column is 0 where only the line is known, and both are
	// where the fault is the file's as a whole.
	Line, Column int
	// Message says what is wrong, and with which field.
	Message string
}

// Error returns FILE:LINE:COLUMN: MESSAGE, as editors and terminals can follow it.
func (f *FaultError) Error() string {
	switch {
	case f.Line == 0:
		return fmt.Sprintf("%s: %s", f.File, f.Message)
	case f.Column == 0:
		return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Message)
	default:
		return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
	}
}

// faultAt returns a FaultError of a document that does not know its file's name.
func faultAt(at position, format string, args ...any) *FaultError {
	return &FaultError{Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...)}
}

// yamlLine matches the messages of the YAML parser.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// faultOf makes a FaultError of any error of reading a document.
func faultOf(err error) *FaultError {
	if fault, ok := errors.AsType[*FaultError](err); ok {
		return fault
	}
	message := err.Error()
	match := yamlLine.FindStringSubmatch(message)
	if match == nil {
		return &FaultError{Message: message}
	}
	line, _ := strconv.Atoi(match[1]) // digits or nothing
	return &FaultError{Line: line, Message: message[len(match[0]):]}
}
