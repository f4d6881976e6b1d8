"""An emulator of Conversational Insights: the official client talks to it unchanged.

One process, one gRPC port: `google.cloud.contactcenterinsights.v1.ContactCenterInsights`,
`google.longrunning.Operations`, health, reflection and a control service for tests. README.md
beside this file says what is emulated, what is assumed, and how to switch on faults.
"""
