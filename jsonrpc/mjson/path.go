package mjson

// step is one segment of a path: a key or an index.
type step struct {
	key     string // as written, with the backslashes of the path
	escaped bool   // key contains backslashes
	array   bool   // the segment is [index]
	index   int
}

// nextStep splits the first segment off path, which is what follows the '$' or
// another segment.
func nextStep(path string) (st step, rest string, ok bool) {
	switch path[0] {
	case '.':
		return keyStep(path[1:])
	case '[':
		return indexStep(path[1:])
	}
	return step{}, "", false
}

// keyStep reads a key: it runs to the next '.' or '[' without a backslash
// before it. An empty key is a key.
func keyStep(path string) (st step, rest string, ok bool) {
	i := 0
	for ; i < len(path) && path[i] != '.' && path[i] != '['; i++ {
		if path[i] == '\\' {
			st.escaped = true
			if i++; i == len(path) {
				return step{}, "", false
			}
		}
	}
	st.key = path[:i]
	return st, path[i:], true
}

// indexStep reads decimal digits and the closing bracket.
func indexStep(path string) (st step, rest string, ok bool) {
	const maxIndex = int(^uint(0) >> 1)
	st.array = true
	i := 0
	for ; i < len(path) && isDigit(path[i]); i++ {
		d := int(path[i] - '0')
		if st.index > (maxIndex-d)/10 {
			return step{}, "", false
		}
		st.index = st.index*10 + d
	}
	if i == 0 || i == len(path) || path[i] != ']' {
		return step{}, "", false
	}
	return st, path[i+1:], true
}

// matches reports whether key, the raw text of a key without its quotes, is the
// key of the segment.
func (st *step) matches(key []byte) bool {
	if !st.escaped {
		return string(key) == st.key
	}
	k := 0
	for i := 0; i < len(st.key); i++ {
		if st.key[i] == '\\' {
			i++
		}
		if k == len(key) || key[k] != st.key[i] {
			return false
		}
		k++
	}
	return k == len(key)
}
