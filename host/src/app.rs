//! An application: the manifest's components, compiled and linked, each with what it alone may use.

use crate::bindings::fermyon::spin::variables;
use crate::bindings::spin::postgres::postgres;
use crate::manifest::{ComponentDeclaration, Manifest};
use crate::output::{ComponentOutput, OutputSink};
use crate::postgres::{Connection, OutboundPostgres};
use crate::routes::Routes;
use crate::variables::{VariableSource, fill_template, of_component, resolve};
use anyhow::{Context, Result, anyhow};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{Cache, CacheConfig, Config, InstanceAllocationStrategy, PoolingAllocationConfig};
use wasmtime_wasi::{HostWallClock, Rng, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::{Error as HttpError, RequestOptions, WasiBody};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

/// What an outgoing HTTP request would come back as.
type HttpAnswer = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), HttpError>> + Send>);

/// Requests that may run at once, and bytes of memory that each may use: what a component keeps of a body is bounded.
const INSTANCES: u32 = 1000;
const MEMORY_BYTES: usize = 32 * 1024 * 1024;

/// The compiler and the interfaces that components link against; one serves any number of applications.
#[derive(Clone)]
pub struct Engine {
    wasmtime: wasmtime::Engine,
    linker: Linker<Guest>,
}

impl Engine {
    /// Makes an engine that keeps what it compiles in `cache`.
    ///
    /// # Errors
    /// When the folder cannot be used, or the machine cannot reserve the address space.
    pub fn new(cache: &Path) -> Result<Self> {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(INSTANCES)
            .total_core_instances(INSTANCES * 4)
            .total_memories(INSTANCES)
            .total_tables(INSTANCES * 4)
            .total_stacks(INSTANCES)
            .max_memory_size(MEMORY_BYTES);
        let mut cache_config = CacheConfig::new();
        cache_config.with_directory(cache);
        let mut config = Config::new();
        config
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
            .cache(Some(Cache::new(cache_config).map_err(|error| anyhow!("{}: {error:#}", cache.display()))?));
        let wasmtime = wasmtime::Engine::new(&config).map_err(|error| anyhow!("cannot set up wasmtime: {error:#}"))?;

        let mut linker = Linker::new(&wasmtime);
        link(&mut linker).map_err(|error| anyhow!("cannot link the host's interfaces: {error:#}"))?;
        Ok(Self { wasmtime, linker })
    }
}

fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    variables::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    postgres::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)
}

/// Gives each request its random source.
pub type RandomSource = Arc<dyn Fn() -> Box<dyn Rng + Send> + Send + Sync>;

/// Time and randomness of the components, when they are not the machine's: for tests.
#[derive(Clone, Default)]
pub struct Ambient {
    /// Gives the time since the Unix epoch.
    pub clock: Option<Arc<dyn Fn() -> Duration + Send + Sync>>,
    /// Gives each request its random source.
    pub random: Option<RandomSource>,
}

/// What an application is started with.
pub struct Options {
    /// What to run.
    pub manifest: Manifest,
    /// Where variables come from, the first that has one wins; then the manifest's default.
    pub variables: Vec<VariableSource>,
    /// Time and randomness.
    pub ambient: Ambient,
    /// Where the components' lines go.
    pub output: OutputSink,
}

/// A loaded application.
pub struct App {
    pub(crate) routes: Routes,
    pub(crate) components: BTreeMap<String, Arc<LoadedComponent>>,
    ambient: Ambient,
}

/// A component, ready to be instantiated, with all that its instances share.
pub(crate) struct LoadedComponent {
    pub(crate) pre: ProxyPre<Guest>,
    pub(crate) output: ComponentOutput,
    variables: BTreeMap<String, String>,
    postgres: OutboundPostgres,
}

impl App {
    /// Resolves the variables, compiles the components and links them.
    ///
    /// # Errors
    /// When a required variable has no value, a component cannot be read, or asks for something that is not offered.
    pub fn load(engine: &Engine, options: Options) -> Result<Self> {
        let Options { manifest, variables, ambient, output } = options;
        let values = resolve(&manifest.variables, &variables)?;
        let load = |(name, declaration): (&String, &ComponentDeclaration)| {
            let output = ComponentOutput { component: name.as_str().into(), sink: Arc::clone(&output) };
            let component = load_component(engine, &manifest.folder, declaration, &values, output);
            Ok((name.clone(), Arc::new(component.with_context(|| format!("component {name}"))?)))
        };
        let components = manifest.components.iter().map(load).collect::<Result<_>>()?;
        Ok(Self { routes: Routes::new(manifest.http_triggers())?, components, ambient })
    }

    /// The state of one request's instance.
    pub(crate) fn guest(&self, component: &Arc<LoadedComponent>) -> Guest {
        let mut wasi = WasiCtx::builder();
        wasi.stdout(component.output.clone()).stderr(component.output.clone());
        if let Some(clock) = &self.ambient.clock {
            wasi.wall_clock(FixedClock(Arc::clone(clock)));
        }
        if let Some(random) = &self.ambient.random {
            wasi.secure_random(random());
        }
        Guest {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            hooks: NoOutboundHttp,
            table: ResourceTable::new(),
            component: Arc::clone(component),
        }
    }
}

fn load_component(
    engine: &Engine,
    folder: &Path,
    declaration: &ComponentDeclaration,
    values: &BTreeMap<String, String>,
    output: ComponentOutput,
) -> Result<LoadedComponent> {
    let source = folder.join(&declaration.source);
    let compiled = Component::from_file(&engine.wasmtime, &source)
        .map_err(|error| anyhow!("cannot load {}: {error:#}", source.display()))?;
    let pre =
        engine.linker.instantiate_pre(&compiled).and_then(ProxyPre::new).map_err(|error| {
            anyhow!("{} asks for something that this host does not offer: {error:#}", source.display())
        })?;
    let allowed = declaration
        .allowed_outbound_hosts
        .iter()
        .map(|host| fill_template(host, values))
        .collect::<Result<Vec<_>>>()?;
    Ok(LoadedComponent {
        pre,
        output,
        variables: of_component(declaration, values)?,
        postgres: OutboundPostgres::new(&allowed)?,
    })
}

/// What one instance of a component holds.
pub(crate) struct Guest {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: NoOutboundHttp,
    table: ResourceTable,
    component: Arc<LoadedComponent>,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

/// No component may send HTTP requests: `allowed_outbound_hosts` only takes databases here.
struct NoOutboundHttp;

impl WasiHttpHooks for NoOutboundHttp {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), HttpError>> + Send>,
    ) -> Box<dyn Future<Output = wasmtime_wasi_http::Result<HttpAnswer>> + Send> {
        Box::new(async { Err(HttpError::HttpRequestDenied) })
    }
}

impl variables::Host for Guest {
    async fn get(&mut self, name: String) -> Result<String, variables::Error> {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(is_name) {
            return Err(variables::Error::InvalidName(name));
        }
        self.component.variables.get(&name).cloned().ok_or(variables::Error::Undefined(name))
    }
}

impl postgres::Host for Guest {}

impl postgres::HostConnection for Guest {
    async fn open(&mut self, address: String) -> Result<Resource<Connection>, postgres::Error> {
        let connection = self.component.postgres.open(&address).await?;
        self.table.push(connection).map_err(|error| postgres::Error::Other(error.to_string()))
    }

    async fn query(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<postgres::ParameterValue>,
    ) -> Result<postgres::RowSet, postgres::Error> {
        self.connection(&connection)?.query(&statement, &parameters).await
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<postgres::ParameterValue>,
    ) -> Result<u64, postgres::Error> {
        self.connection(&connection)?.execute(&statement, &parameters).await
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl Guest {
    fn connection(&self, connection: &Resource<Connection>) -> Result<&Connection, postgres::Error> {
        self.table.get(connection).map_err(|_| postgres::Error::ConnectionFailed("no connection found".into()))
    }
}

struct FixedClock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl HostWallClock for FixedClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        (self.0)()
    }
}
