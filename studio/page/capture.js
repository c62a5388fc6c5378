// Runs beside the page's thread: hands every block of the microphone on, untouched.
class Capture extends AudioWorkletProcessor {
  process(inputs) {
    const channel = inputs[0]?.[0];
    if (channel?.length) this.port.postMessage(channel.slice());
    return true;
  }
}
registerProcessor("capture", Capture);
