//! Spin's two interfaces, as `wit/` declares them.

wasmtime::component::bindgen!({
    path: "wit",
    world: "platform",
    imports: { default: async },
    with: { "spin:postgres/postgres.connection": crate::postgres::Connection },
    require_store_data_send: true,
});
