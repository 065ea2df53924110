package faultfs

import "io"

// file is an open file.
type file struct {
	disk *FS
	name string
	node *node
	at   int
}

// Read implements fsx.File.
func (f *file) Read(p []byte) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if _, err := f.disk.begin(Read, f.name, 0); err != nil {
		return 0, err
	}
	if f.at >= len(f.node.data) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[f.at:])
	f.at += n
	return n, nil
}

// Write implements fsx.File.
func (f *file) Write(p []byte) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	n, err := f.disk.begin(Write, f.name, len(p))
	data := append([]byte(nil), f.node.data[:f.at]...) // never the array that is safe
	f.node.data = append(data, p[:n]...)
	f.at += n
	return n, err
}

// Sync implements fsx.File.
func (f *file) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if _, err := f.disk.begin(Sync, f.name, 0); err != nil {
		return err
	}
	f.node.safe = f.node.data
	return nil
}

// Close implements fsx.File.
func (f *file) Close() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	_, err := f.disk.begin(Close, f.name, 0)
	return err
}
