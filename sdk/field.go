package sdk

// Field returns the value at a path of keys within an object that was decoded as a map, as in
// Field[string](object, "spec", "nodeName"), and whether there is one of type V. A whole number is found as an int,
// int32 or int64 as well as a float64.
func Field[V any](object map[string]any, path ...string) (value V, found bool) {
	var at any = object
	for _, key := range path {
		within, ok := at.(map[string]any)
		if !ok {
			return value, false
		}
		if at, ok = within[key]; !ok {
			return value, false
		}
	}
	value, found = at.(V)
	if number, ok := at.(float64); ok && !found {
		return whole[V](number)
	}
	return value, found
}

// whole returns number as a V if V is an integer type and number a value of it.
func whole[V any](number float64) (value V, ok bool) {
	switch target := any(&value).(type) {
	case *int:
		*target = int(number)
		ok = float64(*target) == number
	case *int32:
		*target = int32(number)
		ok = float64(*target) == number
	case *int64:
		*target = int64(number)
		ok = float64(*target) == number
	}
	return value, ok
}
