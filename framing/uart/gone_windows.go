package uart

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isGone reports whether err is what the system says about a port whose device
// was removed. Drivers differ.
func isGone(err error) bool {
	for _, gone := range []error{
		windows.ERROR_ACCESS_DENIED, windows.ERROR_BAD_COMMAND, windows.ERROR_GEN_FAILURE,
		windows.ERROR_DEVICE_NOT_CONNECTED, windows.ERROR_DEVICE_REMOVED, windows.ERROR_INVALID_HANDLE,
	} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}
