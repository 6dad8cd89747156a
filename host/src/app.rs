//! An application: the manifest's components, compiled and linked, each with what it alone may use.

use crate::bindings::fermyon::spin::variables;
use crate::bindings::spin::postgres::postgres;
use crate::manifest::{Application, ComponentDeclaration, Manifest};
use crate::names::{ComponentId, VariableName};
use crate::output::{ComponentOutput, OutputSink};
use crate::postgres::{Connection, OutboundPostgres};
use crate::routes::Routes;
use crate::template::Template;
use crate::variables::resolve;
use anyhow::{Context, Result, anyhow};
use cofrap_database::{Authorities, VariableSource};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use toml::Spanned;
use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{Cache, CacheConfig, Config, InstanceAllocationStrategy, PoolingAllocationConfig, ProfilingStrategy};
use wasmtime_wasi::{HostWallClock, Rng, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::{Error as HttpError, RequestOptions, WasiBody};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

/// What an outgoing HTTP request would come back as.
type HttpAnswer = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), HttpError>> + Send>);

/// Requests that may run at once, and bytes of memory that each may use: what a component keeps of a body is bounded.
const INSTANCES: u32 = 1000;
const MEMORY_BYTES: usize = 32 * 1024 * 1024;

/// Characters of a statement that the log shows: its name is among them.
const STATEMENT_SHOWN: usize = 120;

/// The compiler and the interfaces that components link against; one serves any number of applications.
#[derive(Clone)]
pub struct Engine {
    wasmtime: wasmtime::Engine,
    linker: Linker<Guest>,
}

/// What is measured of the components' own code while they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// Where its processor time goes: the names of its functions are in the map of the process that `perf report` reads.
    Time,
    /// How much of it runs for a request, in wasmtime's fuel: about an instruction each, and the same whenever the same runs.
    /// [`Ambient::fuel`] is told.
    Fuel,
}

impl Engine {
    /// Makes an engine that keeps what it compiles in `cache`.
    ///
    /// # Errors
    /// When the folder cannot be used, or the machine cannot reserve the address space.
    pub fn new(cache: &Path) -> Result<Self> {
        Self::measuring(cache, None)
    }

    /// The same, with something measured, which costs time.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn measuring(cache: &Path, measured: Option<Measured>) -> Result<Self> {
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
        match measured {
            Some(Measured::Time) => drop(config.profiler(ProfilingStrategy::PerfMap)),
            Some(Measured::Fuel) => drop(config.consume_fuel(true)),
            None => {}
        }
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

/// A variable whose value the platform looked up. Each costs up to 25 microseconds of its processor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VariableRead {
    /// The component that caused it.
    pub component: String,
    /// The application's variable.
    pub variable: String,
    /// Whether the component opened its first connection of a request rather than asking for it: then Spin looks up every variable
    /// of the application.
    pub by_connecting: bool,
}

/// Who is told of every variable that is read.
pub type ReadObserver = Arc<dyn Fn(VariableRead) + Send + Sync>;

/// Who is told how much fuel a component used for a request, once it has ended.
pub type FuelObserver = Arc<dyn Fn(&str, u64) + Send + Sync>;

/// Time and randomness of the components, when they are not the machine's, and who watches them: for tests.
#[derive(Clone, Default)]
pub struct Ambient {
    /// Gives the time.
    pub clock: Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>,
    /// Gives each request its random source.
    pub random: Option<RandomSource>,
    /// Is told of every variable that is read.
    pub reads: Option<ReadObserver>,
    /// Is told how much each request used, by an engine that measures [`Measured::Fuel`].
    pub fuel: Option<FuelObserver>,
}

/// What an application is started with.
pub struct Options {
    /// What to run.
    pub manifest: Manifest,
    /// Where variables come from, the first that has one wins; then the manifest's default.
    pub variables: Vec<VariableSource>,
    /// Whose signature the certificate of a database needs.
    pub authorities: Authorities,
    /// Time and randomness.
    pub ambient: Ambient,
    /// Where the components' lines go.
    pub output: OutputSink,
}

/// A loaded application.
pub struct App {
    pub(crate) application: Application,
    pub(crate) routes: Routes,
    pub(crate) components: BTreeMap<String, Arc<LoadedComponent>>,
    ambient: Ambient,
}

/// A component, ready to be instantiated, with all that its instances share.
pub(crate) struct LoadedComponent {
    pub(crate) pre: ProxyPre<Guest>,
    pub(crate) output: ComponentOutput,
    variables: BTreeMap<String, ComponentVariable>,
    /// The names of all variables of the application.
    application_variables: Arc<[String]>,
    postgres: OutboundPostgres,
    reads: Option<ReadObserver>,
    pub(crate) fuel: Option<FuelObserver>,
}

/// A component's variable: its value, and the application's variables that stand in it.
struct ComponentVariable {
    value: String,
    made_of: Vec<String>,
}

impl App {
    /// Resolves the variables, compiles the components and links them.
    ///
    /// # Errors
    /// When a required variable has no value, a component cannot be read, or asks for something that is not offered.
    pub fn load(engine: &Engine, options: Options) -> Result<Self> {
        let Options { manifest, variables, authorities, ambient, output } = options;
        let values = resolve(&manifest.variables, &variables)?;
        let loader = ComponentLoader {
            engine,
            folder: &manifest.folder,
            application_variables: values.keys().cloned().collect(),
            values: &values,
            authorities: &authorities,
            ambient: &ambient,
        };
        let load = |(id, declaration): (&ComponentId, &ComponentDeclaration)| {
            let output = ComponentOutput { component: id.as_str().into(), sink: Arc::clone(&output) };
            let component = loader.load(declaration, output).with_context(|| format!("component {}", id.as_str()))?;
            Ok((id.as_str().to_owned(), Arc::new(component)))
        };
        let components = manifest.components.iter().map(load).collect::<Result<_>>()?;
        let routes = Routes::new(manifest.http_triggers())?;
        Ok(Self { application: manifest.application, routes, components, ambient })
    }

    /// The time, as its duration since 1970.
    ///
    /// # Errors
    /// When the clock stands before 1970, of which WASI cannot speak.
    #[expect(
        clippy::disallowed_methods,
        reason = "the machine's clock is the components', unless they are given another"
    )]
    fn now(&self) -> Result<Duration> {
        let now = self.ambient.clock.as_ref().map_or_else(SystemTime::now, |clock| clock());
        now.duration_since(SystemTime::UNIX_EPOCH).context("the clock stands before 1970: set it")
    }

    /// The state of one request's instance.
    ///
    /// # Errors
    /// When the clock stands before 1970.
    pub(crate) fn guest(self: &Arc<Self>, component: &Arc<LoadedComponent>) -> Result<Guest> {
        self.now()?;
        let mut wasi = WasiCtx::builder();
        wasi.stdout(component.output.clone()).stderr(component.output.clone());
        wasi.wall_clock(AppClock(Arc::clone(self)));
        if let Some(random) = &self.ambient.random {
            wasi.secure_random(random());
        }
        Ok(Guest {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            hooks: NoOutboundHttp,
            table: ResourceTable::new(),
            component: Arc::clone(component),
            has_connected: false,
        })
    }
}

/// What all components of an application are loaded with.
struct ComponentLoader<'a> {
    engine: &'a Engine,
    folder: &'a Path,
    values: &'a BTreeMap<String, String>,
    application_variables: Arc<[String]>,
    authorities: &'a Authorities,
    ambient: &'a Ambient,
}

impl ComponentLoader<'_> {
    fn load(&self, declaration: &ComponentDeclaration, output: ComponentOutput) -> Result<LoadedComponent> {
        let source = self.folder.join(&declaration.source);
        let compiled = Component::from_file(&self.engine.wasmtime, &source)
            .map_err(|error| anyhow!("cannot load {}: {error:#}", source.display()))?;
        let pre = self.engine.linker.instantiate_pre(&compiled).and_then(ProxyPre::new).map_err(|error| {
            anyhow!("{} asks for something that this host does not offer: {error:#}", source.display())
        })?;
        let hosts = declaration.allowed_outbound_hosts.iter().map(|host| host.get_ref().template().fill(self.values));
        let variable = |(name, template): (&VariableName, &Spanned<Template>)| {
            let template = template.get_ref();
            let made_of = template.variables().map(str::to_owned).collect();
            Ok((name.as_str().to_owned(), ComponentVariable { value: template.fill(self.values)?, made_of }))
        };
        Ok(LoadedComponent {
            pre,
            output,
            variables: declaration.variables.iter().map(variable).collect::<Result<_>>()?,
            application_variables: Arc::clone(&self.application_variables),
            postgres: OutboundPostgres::new(&hosts.collect::<Result<Vec<_>>>()?, self.authorities)?,
            reads: self.ambient.reads.clone(),
            fuel: self.ambient.fuel.clone(),
        })
    }
}

impl LoadedComponent {
    fn note_reads(&self, variables: &[String], by_connecting: bool) {
        let Some(observer) = &self.reads else { return };
        for variable in variables {
            let component = self.output.component.to_string();
            observer(VariableRead { component, variable: variable.clone(), by_connecting });
        }
    }
}

/// What one instance of a component holds.
pub(crate) struct Guest {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: NoOutboundHttp,
    table: ResourceTable,
    component: Arc<LoadedComponent>,
    has_connected: bool,
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
        let Some(variable) = self.component.variables.get(&name) else { return Err(variables::Error::Undefined(name)) };
        self.component.note_reads(&variable.made_of, false);
        Ok(variable.value.clone())
    }
}

impl postgres::Host for Guest {}

impl postgres::HostConnection for Guest {
    async fn open(&mut self, address: String) -> Result<Resource<Connection>, postgres::Error> {
        if !std::mem::replace(&mut self.has_connected, true) {
            self.component.note_reads(&self.component.application_variables, true);
        }
        let connection = self.component.postgres.open(&address).await?;
        self.table.push(connection).map_err(|error| postgres::Error::Other(error.to_string()))
    }

    async fn query(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<postgres::ParameterValue>,
    ) -> wasmtime::Result<Result<postgres::RowSet, postgres::Error>> {
        let connection = match self.connection(&connection) {
            Ok(connection) => connection,
            Err(error) => return Ok(Err(error)),
        };
        let answer = connection.query(&statement, &parameters).await;
        // Spin 4.0.0 to 4.0.2 never answers then, and keeps the connection: a request that would hang there fails here.
        if answer.as_ref().is_ok_and(|set| set.rows.is_empty()) {
            let start: String = statement.chars().take(STATEMENT_SHOWN).collect();
            wasmtime::bail!("this query returned no row, which Spin 4.0 never answers: {start}");
        }
        Ok(answer)
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

struct AppClock(Arc<App>);

impl HostWallClock for AppClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        // It was looked at when the request began; one that was set back since stands still.
        self.0.now().unwrap_or_default()
    }
}
