"""A plain client of MQTT at somebody else's service, for what a fleet does not do."""

import paho.mqtt.client as mqtt
from things.paho_mqtt import PahoThing

ANSWERS = ["get/+", "start-next/+", "+/get/+", "+/update/+"]


class Asking(PahoThing):
    """A thing that is subscribed to its answers as well, since a broker hands them to subscribers only."""

    def __init__(self, site, name, version=mqtt.MQTTv311):
        super().__init__(site, name, version)
        codes = self.connection.subscribe([self.prefix + answer for answer in ANSWERS])
        assert codes == [1] * len(ANSWERS), codes
