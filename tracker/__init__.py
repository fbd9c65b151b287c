"""The directory of swarms: hands out peers and origin leases."""
