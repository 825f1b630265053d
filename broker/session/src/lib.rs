//! One end of an MQTT connection as a state machine
