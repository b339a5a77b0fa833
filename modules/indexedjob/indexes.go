package main

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// indexes is a set of indexes. Its text is a list of numbers and ranges: "0-3,7".
type indexes map[int]bool

// parseIndexes reads a text, without the indexes from limit on. What it does not understand it leaves out: the text may have
// been written by hand.
func parseIndexes(text string, limit int) indexes {
	set := indexes{}
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.Atoi(from)
		last, lastErr := strconv.Atoi(to)
		if err != nil || lastErr != nil || first < 0 {
			continue
		}
		for index := first; index <= min(last, limit-1); index++ {
			set[index] = true
		}
	}
	return set
}

// String returns the set's text, which is the same whatever order the indexes came in.
func (s indexes) String() string {
	var parts []string
	sorted := slices.Sorted(maps.Keys(s))
	for len(sorted) > 0 {
		length := 1
		for length < len(sorted) && sorted[length] == sorted[0]+length {
			length++
		}
		part := strconv.Itoa(sorted[0])
		if length > 1 {
			part += "-" + strconv.Itoa(sorted[length-1])
		}
		parts = append(parts, part)
		sorted = sorted[length:]
	}
	return strings.Join(parts, ",")
}
