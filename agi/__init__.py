"""The FastAGI door. Asterisk plays the sound itself here; the service only decides and takes evidence."""
