//! What WebAssembly and the platform cost: the same rules on the same database, as a native program with a pool whose connections keep
//! their statements. `bench` measures the functions beside it. It never ships, and has neither limits on bodies nor a log.
//!
//! Variables come from the environment, as `SPIN_VARIABLE_*`; its one argument is where it listens.

#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use cofrap_accounts::{Bearer, Caller, Env, RequestContext, authenticate, issue_password, issue_second_factor};
use cofrap_api::{Call, Endpoint, Problem, Reply, authenticate_user_v2, generate_mfa_v2, generate_password_v2};
use cofrap_database::Parameter;
use cofrap_edge::{
    ConfigError, Link, OperatorSettings, ParameterValue, PgError, PgStore, ReadKeys, SystemClock, SystemRng, Variables,
    Zeroizing, client_address,
};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio_postgres::NoTls;
use tokio_postgres::types::ToSql;

/// As many as the platform's pool has for a component.
const CONNECTIONS: usize = 64;

#[tokio::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).context("say where to listen: host:port")?;
    let variables = Environment;
    let url: tokio_postgres::Config = variables.get("database_url")?.parse()?;
    let cleaned = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let pool = Pool::builder(Manager::from_config(url, NoTls, cleaned)).max_size(CONNECTIONS).build()?;
    let settings = OperatorSettings::read(&variables)?;
    let twin = Arc::new(Twin { variables, settings, pool });
    let routes = Router::new()
        .route("/function/authenticate-user-v2", post(log_in))
        .route("/function/generate-password-v2", post(generate_password))
        .route("/function/generate-2fa-v2", post(generate_mfa))
        .with_state(twin);
    axum::serve(tokio::net::TcpListener::bind(address).await?, routes).await?;
    Ok(())
}

struct Twin {
    variables: Environment,
    settings: OperatorSettings,
    pool: Pool,
}

struct Environment;

impl Variables for Environment {
    #[expect(clippy::disallowed_methods, reason = "where Spin's provider finds them too")]
    fn get(&self, name: &'static str) -> Result<Zeroizing<String>, ConfigError> {
        Ok(Zeroizing::new(std::env::var(format!("SPIN_VARIABLE_{}", name.to_uppercase())).unwrap_or_default()))
    }
}

async fn log_in(State(twin): State<Arc<Twin>>, headers: HeaderMap, body: Bytes) -> Response {
    twin.serve::<authenticate_user_v2::Request, _>(headers, body, |env, login| {
        Ok(Reply::from(authenticate(env, &login)?).body)
    })
    .await
}

async fn generate_password(State(twin): State<Arc<Twin>>, headers: HeaderMap, body: Bytes) -> Response {
    twin.serve::<generate_password_v2::Request, _>(headers, body, |env, issue| {
        generate_password_v2::Response::draw(&issue_password(env, &issue)?)
    })
    .await
}

async fn generate_mfa(State(twin): State<Arc<Twin>>, headers: HeaderMap, body: Bytes) -> Response {
    twin.serve::<generate_mfa_v2::Request, _>(headers, body, |env, issue| {
        generate_mfa_v2::Response::draw(&issue_second_factor(env, &issue)?)
    })
    .await
}

/// What a route asks of the rules.
type Operation<R, K> = fn(&mut TwinEnv<K>, <R as Endpoint>::Command) -> Result<<R as Endpoint>::Response, Problem>;

type TwinEnv<K> = Env<PgStore<Pooled>, SystemClock, SystemRng, K>;

impl Twin {
    /// The rules wait for the database where they are, so they have a thread of their own.
    async fn serve<R: Endpoint<Response: 'static> + 'static, K: ReadKeys + 'static>(
        self: Arc<Self>,
        headers: HeaderMap,
        body: Bytes,
        operation: Operation<R, K>,
    ) -> Response {
        let handle = Handle::current();
        let answered = tokio::task::spawn_blocking(move || -> Result<Vec<u8>, Problem> {
            let call = Call { method: "POST", query: "", bearer: Bearer::default(), body: &body };
            let command = R::read(call)?;
            let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
            let forwarded: Vec<_> = forwarded.map(str::to_owned).collect();
            let mut env = Env {
                store: PgStore::over(Pooled { pool: self.pool.clone(), handle }),
                clock: SystemClock,
                rng: SystemRng::default(),
                context: RequestContext {
                    keys: K::read(&self.variables, &self.settings).map_err(Problem::unavailable)?,
                    caller: Caller {
                        address: client_address(None, &forwarded, self.settings.trusted_proxy_hops),
                        user_agent: None,
                        route: Some("twin".to_owned()),
                    },
                    settings: self.settings.rules.clone(),
                },
            };
            serde_json::to_vec(&operation(&mut env, command)?).map_err(Problem::unavailable)
        });
        match answered.await {
            Ok(Ok(body)) => ([("content-type", "application/json")], body).into_response(),
            Ok(Err(problem)) => StatusCode::from_u16(problem.code().status()).unwrap_or_default().into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// A pool whose connections keep their statements.
struct Pooled {
    pool: Pool,
    handle: Handle,
}

impl Link for Pooled {
    fn ask(&self, text: &str, parameters: &[ParameterValue]) -> Result<String, PgError> {
        let parameters: Vec<_> = parameters.iter().map(Parameter).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> =
            parameters.iter().map(|parameter| parameter as &(dyn ToSql + Sync)).collect();
        let answered: Result<String> = self.handle.block_on(async {
            let client = self.pool.get().await?;
            let statement = client.prepare_cached(text).await?;
            Ok(client.query_one(&statement, &parameters).await?.try_get(0)?)
        });
        answered.map_err(|error: anyhow::Error| PgError::Other(format!("{error:#}")))
    }
}
