package cloud

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var (
	errWeakKey    = errors.New("RSA key of less than 2048 bits")
	errNoAnswer   = errors.New("no answer in time")
	errNoPuback   = errors.New("no PUBACK in time")
	errNoSuback   = errors.New("no SUBACK or UNSUBACK in time")
	errStuck      = errors.New("the network takes no more bytes")
	errSilence    = errors.New("nothing was received for longer than the keepalive allows")
	errNoConnack  = errors.New("before CONNACK, which often means that a policy refuses this client")
	errAfterHello = errors.New("during the TLS handshake")
	errNotTLS     = errors.New("it does not speak TLS on this port")
	errHelloReset = errors.New("it cut off the TLS handshake: does it speak TLS on this port?")
	errEarlyReset = errors.New("before CONNACK: is TLS, or no TLS, right for this port?")
)

// connackCode is a return code of CONNACK other than 0, 1 to 5.
type connackCode byte

func (c connackCode) Error() string { return "CONNACK " + strconv.Itoa(int(c)) }

// malformed is an error in what the server sent.
type malformed string

func (m malformed) Error() string { return string(m) }

// dialReason returns why there is no TCP connection.
func dialReason(err error) Reason {
	if timedOut(err) {
		return ReasonTimeout
	}
	return ReasonUnreachable
}

// tlsReason returns why a TLS handshake failed, and a better error where there
// is one.
func tlsReason(err error, now time.Time) (Reason, error) {
	var (
		invalid   x509.CertificateInvalidError
		name      x509.HostnameError
		authority x509.UnknownAuthorityError
		algorithm x509.InsecureAlgorithmError
		record    tls.RecordHeaderError
	)
	switch {
	case timedOut(err):
		return ReasonTimeout, errAfterHello
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if invalid.Cert != nil && now.Before(invalid.Cert.NotBefore) {
			return ReasonTLSNotYetValid, err
		}
		return ReasonTLSExpired, err
	case errors.As(err, &name):
		return ReasonTLSName, err
	case errors.Is(err, errWeakKey), errors.As(err, &algorithm), strings.Contains(err.Error(), "insecure algorithm"):
		return ReasonTLSWeak, err
	case errors.As(err, &authority):
		return ReasonTLSUnknownCA, err
	case errors.As(err, &record):
		return ReasonTLS, errNotTLS
	case errors.Is(err, syscall.ECONNRESET):
		return ReasonTLS, errHelloReset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ReasonClosed, errAfterHello
	}
	if r := alertReason(err); r != ReasonNone {
		return r, err
	}
	if strings.Contains(err.Error(), "unsupported protocol version") {
		return ReasonTLSVersion, err
	}
	return ReasonTLS, err
}

// alertReason returns what a TLS alert of the server means, or ReasonNone. With
// TLS 1.3, the server looks at our certificate when the handshake is over for
// us, so alerts come later too.
func alertReason(err error) Reason {
	op, is := errors.AsType[*net.OpError](err)
	if !is || op.Op != "remote error" || op.Err == nil {
		return ReasonNone
	}
	switch text := op.Err.Error(); {
	case strings.Contains(text, "certificate"), strings.Contains(text, "access denied"):
		return ReasonTLSClient
	case strings.Contains(text, "protocol version"):
		return ReasonTLSVersion
	}
	return ReasonTLS
}

// linkReason returns why a connection ended with an error, before or after
// CONNACK.
func linkReason(err error, connected bool) (Reason, error) {
	if r := alertReason(err); r != ReasonNone {
		return r, err
	}
	if code, is := errors.AsType[connackCode](err); is {
		return connackReasons[code], err
	}
	_, broken := errors.AsType[malformed](err)
	switch {
	case broken:
		return ReasonPacket, err
	case errors.Is(err, errStuck):
		return ReasonTimeout, err
	case timedOut(err) && connected:
		return ReasonTimeout, errSilence
	case timedOut(err):
		return ReasonTimeout, errNoAnswer
	case !connected && errors.Is(err, syscall.ECONNRESET):
		return ReasonNetwork, errEarlyReset
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return ReasonNetwork, err
	case connected:
		return ReasonClosed, nil
	}
	return ReasonClosed, errNoConnack
}

// timedOut reports whether an error is one of a deadline.
func timedOut(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	timeout, is := errors.AsType[net.Error](err)
	return is && timeout.Timeout()
}
