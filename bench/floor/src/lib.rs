//! What the platform itself costs: a component with one read and one insert, and nothing else. `bench` measures the functions beside
//! it. It never ships.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use spin_sdk::http::{Headers, IncomingRequest, OutgoingResponse, ResponseOutparam};
use spin_sdk::pg4::{Connection, ParameterValue, PgError};
use spin_sdk::variables;

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    let body = request.into_body().await.unwrap_or_default();
    let status = match read_and_insert(String::from_utf8_lossy(&body).into_owned()) {
        Ok(()) => 200,
        Err(error) => {
            eprintln!("{error:?}");
            503
        }
    };
    let headers = Headers::new();
    let _ = headers.append("content-length", b"2");
    let response = OutgoingResponse::new(headers);
    let _ = response.set_status_code(status);
    let _ = out.set_with_body(response, b"{}".to_vec()).await;
}

fn read_and_insert(body: String) -> Result<(), PgError> {
    let address = variables::get("database_url").unwrap_or_default();
    let connection = Connection::open(&address)?;
    let id = i64::try_from(body.len()).unwrap_or(1);
    let read = "SELECT id, body FROM bench_floor WHERE id = $1 OR id = 1 LIMIT 1";
    connection.query(read, &[ParameterValue::Int64(id)])?;
    let insert = "INSERT INTO bench_floor_log (body, at) VALUES ($1, $2)";
    connection.execute(insert, &[ParameterValue::Str(body), ParameterValue::Int64(id)]).map(|_| ())
}
