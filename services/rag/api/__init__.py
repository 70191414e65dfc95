"""HTTP interface of the business microservice."""
