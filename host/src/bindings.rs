//! Spin's two interfaces, as `wit/` declares them.

wasmtime::component::bindgen!({
    path: "wit",
    world: "platform",
    imports: {
        // A query without rows ends the request: see `Guest::query`.
        "spin:postgres/postgres.[method]connection.query": async | trappable,
        default: async,
    },
    with: { "spin:postgres/postgres.connection": crate::postgres::Connection },
    require_store_data_send: true,
});
