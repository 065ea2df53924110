package stm32boot

// Bytes that control the exchange (AN3155).
const (
	ACK  = 0x79 // a stage is accepted
	NACK = 0x1F // a stage is refused; the target waits for a command
	BUSY = 0x76 // keep waiting, more follows
	Init = 0x7F // sent first after reset; the target measures the rate by it
)

// Commands. On the line each is followed by its complement.
const (
	CmdGet              = 0x00 // version and commands
	CmdGetVersion       = 0x01 // version and two option bytes
	CmdGetID            = 0x02 // product id
	CmdRead             = 0x11 // up to 256 bytes of memory
	CmdGo               = 0x21 // jump to a program
	CmdWrite            = 0x31 // up to 256 bytes to flash, RAM or option bytes
	CmdErase            = 0x43 // pages by numbers of one byte
	CmdExtendedErase    = 0x44 // pages by numbers of two bytes
	CmdSpecial          = 0x50 // an operation of the chip
	CmdExtendedSpecial  = 0x51 // the same with more data
	CmdWriteProtect     = 0x63 // sectors of the option bytes; then a reset
	CmdWriteUnprotect   = 0x73 // all sectors; then a reset
	CmdReadoutProtect   = 0x82 // level 1; then a reset
	CmdReadoutUnprotect = 0x92 // erases everything; then a reset
	CmdChecksum         = 0xA1 // CRC of a range of memory
)

// Special page counts of the erase commands.
const (
	EraseGlobal = 0xFF   // CmdErase: all pages; followed by 0x00
	EraseMass   = 0xFFFF // CmdExtendedErase: all pages; followed by 0x00
	EraseBank1  = 0xFFFE // CmdExtendedErase: bank 1; followed by 0x01
	EraseBank2  = 0xFFFD // CmdExtendedErase: bank 2; followed by 0x02
)

// Limits of one command.
const (
	MaxBlock         = 256 // bytes of a Read or Write
	MaxErase         = 255 // page numbers of CmdErase
	MaxExtendedErase = 511 // page numbers of CmdExtendedErase; chips refuse more
)

// CommandName returns a short name of a command, or of Init, such as "read". If it
// has none the number is returned.
func CommandName(cmd byte) string {
	switch cmd {
	case Init:
		return "init"
	case CmdGet:
		return "get"
	case CmdGetVersion:
		return "get version"
	case CmdGetID:
		return "get id"
	case CmdRead:
		return "read"
	case CmdGo:
		return "go"
	case CmdWrite:
		return "write"
	case CmdErase:
		return "erase"
	case CmdExtendedErase:
		return "extended erase"
	case CmdSpecial:
		return "special"
	case CmdExtendedSpecial:
		return "extended special"
	case CmdWriteProtect:
		return "write protect"
	case CmdWriteUnprotect:
		return "write unprotect"
	case CmdReadoutProtect:
		return "readout protect"
	case CmdReadoutUnprotect:
		return "readout unprotect"
	case CmdChecksum:
		return "checksum"
	}
	const digits = "0123456789ABCDEF"
	return "command 0x" + string([]byte{digits[cmd>>4], digits[cmd&15]})
}
