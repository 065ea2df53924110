package stm32sim

// EventKind tells what an [Event] is about.
type EventKind uint8

// The kinds of events.
const (
	EventROM      EventKind = iota + 1 // the ROM listens for its 0x7F, after a reset
	EventApp                           // the application starts; Addr is where, after Go, otherwise 0
	EventReset                         // the chip was reset: by its pin, by the power, by a command
	EventPowerOff                      // the power has gone
	EventSynced                        // the ROM has seen its 0x7F
	EventCommand                       // Command is accepted
	EventNack                          // something was refused; Command is the last command
	EventErase                         // page N is erased
	EventProgram                       // N bytes from Addr on were programmed
	EventIgnored                       // N bytes from Addr on are write protected and stayed as they are
	EventFault                         // Fault strikes at Command
)

var eventNames = [...]string{
	EventROM: "rom", EventApp: "app", EventReset: "reset", EventPowerOff: "power off", EventSynced: "synced",
	EventCommand: "command", EventNack: "nack", EventErase: "erase", EventProgram: "program",
	EventIgnored: "ignored", EventFault: "fault",
}

// String returns "rom", "power off" and so on.
func (k EventKind) String() string {
	if int(k) < len(eventNames) && eventNames[k] != "" {
		return eventNames[k]
	}
	return "unknown"
}

// Event tells an observer what has happened.
type Event struct {
	Kind    EventKind
	Command byte
	Addr    uint32
	N       int
	Fault   FaultKind
}

// observe tells the observer. No lock is held.
func (t *Target) observe(e Event) {
	if t.o.Observer != nil {
		t.o.Observer(e)
	}
}
