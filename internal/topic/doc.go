// Package topic knows how MQTT topic filters work (MQTT 3.1.1, section 4.7): the
// module, the host and the test kit must agree on it. It checks neither lengths
// nor characters, and imports nothing that small targets could not have.
package topic
