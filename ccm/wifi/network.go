package wifi

import (
	"context"
	"errors"
)

var (
	// ErrRadioOff is returned by Scan if there is no radio, or if it is switched
	// off.
	ErrRadioOff = errors.New("wifi: radio off")
	// ErrInvalid is wrapped by the errors of Station.Validate and AP.Validate.
	ErrInvalid = errors.New("wifi: invalid setting")
)

// Network is a network backend.
type Network interface {
	// Scan looks for access points, which takes some seconds. The result is in
	// order of strength, the strongest first, with one entry for each BSSID, and
	// is the caller's. A network that does not tell its name has none, or is not
	// listed.
	Scan(ctx context.Context) ([]AccessPoint, error)
	// SetStation makes the setting of the station, in place of the one before,
	// and returns once the backend has taken it and Status tells of it; it does
	// not wait for the network. An enabled station keeps trying to get back to
	// an access point that it has lost, or that is not there yet; it does not try
	// again with a password that was refused, until it is set again. An error
	// means that the setting was not taken, as one that Validate refuses.
	SetStation(ctx context.Context, s Station) error
	// SetAP makes the setting of the module's own access point, in place of the
	// one before. What is said of SetStation is true of it too: the access point
	// is there when Status has its address.
	SetAP(ctx context.Context, a AP) error
	// Status returns the state of the network now, without waiting.
	Status() Status
	// Watch calls f with the status of now, before it returns, and then after each
	// change, until stop is called. The calls of one f are in order and one at a
	// time, on a goroutine of the network or of whoever has made the change. f
	// must return soon, and may call all methods of the network. If f is slow, it
	// misses statuses, but never the last. Once stop has returned, f is called no
	// more, except that a call may be on its way. stop may be called more than
	// once.
	Watch(f func(Status)) (stop func())
}
