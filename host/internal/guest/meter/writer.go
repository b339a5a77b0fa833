package meter

import "encoding/binary"

func appendU32(dst []byte, n uint32) []byte { return binary.AppendUvarint(dst, uint64(n)) }

// appendSigned appends a signed LEB128 number that is not negative.
func appendSigned(dst []byte, n uint32) []byte {
	for ; n >= 0x40; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

// appendSection appends a section with its header.
func appendSection(dst []byte, id byte, content []byte) []byte {
	dst = append(dst, id)
	dst = appendU32(dst, uint32(len(content)))
	return append(dst, content...)
}

func appendName(dst []byte, name string) []byte {
	dst = appendU32(dst, uint32(len(name)))
	return append(dst, name...)
}

// costWidth is the width of a cost in the code: costs are filled in when a loop's or function's end is known, so their
// encodings are padded to the same length.
const costWidth = 5

// putCost writes a cost, a signed LEB128 number, padded. Costs are below 2^34.
func putCost(dst []byte, cost uint64) {
	for i := range costWidth {
		b := byte(cost & 0x7f)
		if i < costWidth-1 {
			b |= 0x80
		}
		dst[i] = b
		cost >>= 7
	}
}
