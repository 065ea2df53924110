package channel

import (
	"context"
	"errors"
	"time"

	"github.com/ccmkit/ccmkit/ccm/access"
	"github.com/ccmkit/ccmkit/framing"
)

// How often a port that cannot be opened is tried.
const (
	openPauseMin = 100 * time.Millisecond
	openPauseMax = 2 * time.Second
)

// SerialConfig describes a serial door for the mos tool. Open must be set.
type SerialConfig struct {
	// Open opens the port. It is called again, after a growing pause, when the
	// port is gone.
	Open func(ctx context.Context) (framing.Port, error)

	// Name is what callers see as their address. "" = "UART0".
	Name string

	// Line is the framing of the line. MaxFrame and EightBit are set by the
	// door: text that is not ASCII is taken, which stock devices do not.
	Line framing.MosOptions
}

// ServeSerial serves the mos tool on a serial line until ctx ends. Whoever holds
// the line has the rights of the host (access.Host). It returns after all
// handlers have.
func ServeSerial(ctx context.Context, s *Service, cfg SerialConfig) {
	pause := openPauseMin
	var said string // the last failure that was logged
	for ctx.Err() == nil {
		began := time.Now()
		err := s.serveSerial(ctx, &cfg)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > openPauseMax {
			pause, said = openPauseMin, ""
		}
		if err.Error() != said {
			said = err.Error()
			s.log.Warn("the port of the mos tool cannot be used", "port", cfg.name(), "err", err)
		}
		rest(ctx, pause)
		pause = min(2*pause, openPauseMax)
	}
}

func (c *SerialConfig) name() string {
	if c.Name == "" {
		return "UART0"
	}
	return c.Name
}

// serveSerial opens the port and serves it until it fails or ctx ends.
func (s *Service) serveSerial(ctx context.Context, cfg *SerialConfig) error {
	port, err := cfg.Open(ctx)
	if err != nil {
		return err
	}
	if port == nil {
		return errors.New("channel: SerialConfig.Open returned no port")
	}
	return s.serveMos(ctx, port, cfg.origin(), cfg.Line)
}

// origin returns where the calls of the line come from.
func (c *SerialConfig) origin() *access.Origin {
	return &access.Origin{Role: access.Host, Channel: access.UART, Remote: c.name()}
}

// serveMos serves the mos tool on a port until it fails or ctx ends, and closes
// the port.
func (s *Service) serveMos(ctx context.Context, port framing.Port, o *access.Origin, line framing.MosOptions) error {
	line.MaxFrame, line.EightBit = s.cfg.MaxFrame, true
	return s.serveFrames(ctx, framing.NewMosDevice(port, &line), o, nil)
}

// rest waits.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
