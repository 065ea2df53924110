package pty

import "os"

// Terminal is the master of a pseudo terminal. It has deadlines, and Close
// unblocks a Read and hangs up whoever has the slave open.
type Terminal struct {
	*os.File
	// Path is that of the slave, to be opened as one would open a serial port.
	Path string

	slave *os.File // kept open so that the master has someone to talk to
}

// Open makes a raw pseudo terminal. The slave counts as open until Close: the
// master's Read waits for bytes while no one else has the slave open, as a real
// line would, and what is written in the meantime is kept.
func Open() (*Terminal, error) {
	t, err := OpenHangup()
	if err != nil {
		return nil, err
	}
	if t.slave, err = openSlave(t.Path); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// Close closes the terminal. Later calls do nothing but return an error.
func (t *Terminal) Close() error {
	if t.slave != nil {
		t.slave.Close()
	}
	return t.File.Close()
}
