"""The sagemaker-runtime API (InvokeEndpoint, InvokeEndpointWithResponseStream) over model servers on loopback."""
