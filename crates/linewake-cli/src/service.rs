//! The service manager of Windows, for the one kernel driver.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use windows_service::service::{
    Service, ServiceAccess, ServiceErrorControl, ServiceInfo, ServiceStartType, ServiceState, ServiceType,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_service::{Error, Result as Outcome};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_DRIVER_BLOCKED, ERROR_FILE_NOT_FOUND, ERROR_INVALID_IMAGE_HASH, ERROR_PATH_NOT_FOUND,
    ERROR_SERVICE_ALREADY_RUNNING, ERROR_SERVICE_DISABLED, ERROR_SERVICE_DOES_NOT_EXIST, ERROR_SERVICE_EXISTS,
    ERROR_SERVICE_MARKED_FOR_DELETE, ERROR_SERVICE_NOT_ACTIVE,
};

use crate::exit::Failure;

/// The service's name.
const NAME: &str = "LineWake";
/// How long a driver may take to load or unload.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn install(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let absolute = std::path::absolute(path).map_err(|error| Failure::new(format!("the path \"{shown}\": {error}")))?;
    if !absolute.is_file() {
        let remedy = "say with --path where linewake.sys is";
        return Err(Failure::new(format!("there is no file \"{}\"; {remedy}", absolute.display())));
    }
    let done =
        format!("the driver \"{NAME}\" is installed from \"{}\"; next: linewake driver start", absolute.display());
    let mut info = ServiceInfo {
        name: NAME.into(),
        display_name: NAME.into(),
        service_type: ServiceType::KERNEL_DRIVER,
        start_type: ServiceStartType::OnDemand,
        error_control: ServiceErrorControl::Normal,
        executable_path: absolute,
        launch_arguments: Vec::new(),
        dependencies: Vec::new(),
        account_name: None,
        account_password: None,
    };
    let manager = manager(ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE)?;
    let created = manager.create_service(&info, ServiceAccess::QUERY_STATUS);
    match created {
        Err(error) if code(&error) == ERROR_SERVICE_EXISTS => {
            let service = installed(&manager, ServiceAccess::CHANGE_CONFIG | ServiceAccess::QUERY_CONFIG)?;
            // Only the file changes: the administrator may have changed the rest.
            let before = service.query_config().map_err(|error| failed("query", &error))?;
            (info.start_type, info.error_control) = (before.start_type, before.error_control);
            info.display_name = before.display_name;
            service.change_config(&info).map_err(|error| failed("install", &error))?;
        }
        created => drop(created.map_err(|error| failed("install", &error))?),
    }
    Ok(done)
}

pub(crate) fn start() -> Result<String, Failure> {
    let manager = manager(ServiceManagerAccess::CONNECT)?;
    let service = installed(&manager, ServiceAccess::START | ServiceAccess::QUERY_STATUS)?;
    unless(ERROR_SERVICE_ALREADY_RUNNING, service.start::<&str>(&[])).map_err(|error| failed("start", &error))?;
    wait_until(&service, ServiceState::Running, "start", "it did not say why; the system's event log may")?;
    Ok(format!("the driver \"{NAME}\" is running: its device is \"\\\\.\\LineWake0\""))
}

pub(crate) fn stop() -> Result<String, Failure> {
    let manager = manager(ServiceManagerAccess::CONNECT)?;
    stop_service(&installed(&manager, ServiceAccess::STOP | ServiceAccess::QUERY_STATUS)?)?;
    Ok(format!("the driver \"{NAME}\" is stopped"))
}

pub(crate) fn remove() -> Result<String, Failure> {
    let manager = manager(ServiceManagerAccess::CONNECT)?;
    if let Some(service) = find(&manager, ServiceAccess::STOP | ServiceAccess::QUERY_STATUS | ServiceAccess::DELETE)? {
        stop_service(&service)?;
        unless(ERROR_SERVICE_MARKED_FOR_DELETE, service.delete()).map_err(|error| failed("remove", &error))?;
    }
    Ok(format!("the driver \"{NAME}\" is not installed"))
}

pub(crate) fn status() -> Result<String, Failure> {
    let manager = manager(ServiceManagerAccess::CONNECT)?;
    let Some(service) = find(&manager, ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG)? else {
        return Ok(format!("the driver \"{NAME}\" is not installed"));
    };
    let state = match state(&service)? {
        ServiceState::Running => "running",
        ServiceState::Stopped => "installed and not running",
        _ => "being started or stopped",
    };
    let config = service.query_config().map_err(|error| failed("query", &error))?;
    Ok(format!("the driver \"{NAME}\" is {state}: \"{}\"", config.executable_path.display()))
}

fn manager(access: ServiceManagerAccess) -> Result<ServiceManager, Failure> {
    ServiceManager::local_computer(None::<&str>, access).map_err(|error| failed("reach", &error))
}

/// The service, if it is installed.
fn find(manager: &ServiceManager, access: ServiceAccess) -> Result<Option<Service>, Failure> {
    match manager.open_service(NAME, access) {
        Ok(service) => Ok(Some(service)),
        Err(error) if code(&error) == ERROR_SERVICE_DOES_NOT_EXIST => Ok(None),
        Err(error) => Err(failed("open", &error)),
    }
}

fn installed(manager: &ServiceManager, access: ServiceAccess) -> Result<Service, Failure> {
    manager.open_service(NAME, access).map_err(|error| failed("open", &error))
}

fn state(service: &Service) -> Result<ServiceState, Failure> {
    Ok(service.query_status().map_err(|error| failed("query", &error))?.current_state)
}

fn stop_service(service: &Service) -> Result<(), Failure> {
    match service.stop() {
        Ok(_) => wait_until(service, ServiceState::Stopped, "stop", "end the programs that have its device open"),
        Err(error) if code(&error) == ERROR_SERVICE_NOT_ACTIVE => Ok(()),
        Err(error) => Err(failed("stop", &error)),
    }
}

fn wait_until(service: &Service, wanted: ServiceState, what: &str, remedy: &str) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = state(service)?;
        if now == wanted {
            return Ok(());
        }
        // A driver that fails to start is stopped again.
        if Instant::now() >= deadline || now == ServiceState::Stopped {
            return Err(Failure::new(format!("the driver \"{NAME}\" did not {what}; {remedy}")));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// An outcome in which one error is as good as success.
fn unless(harmless: u32, outcome: Outcome<()>) -> Outcome<()> {
    outcome.or_else(|error| if code(&error) == harmless { Ok(()) } else { Err(error) })
}

/// The system's number of an error; 0 is an error of the arguments.
fn code(error: &Error) -> u32 {
    let Error::Winapi(error) = error else { return 0 };
    error.raw_os_error().unwrap_or_default() as u32
}

/// Adds what the user can do about an error of the service manager.
fn failed(what: &str, error: &Error) -> Failure {
    let code = code(error);
    let remedy = match code {
        ERROR_ACCESS_DENIED => "this needs an administrator: run it from an elevated prompt",
        ERROR_SERVICE_DOES_NOT_EXIST => "it is not installed; first: linewake driver install --path linewake.sys",
        ERROR_SERVICE_MARKED_FOR_DELETE => "it is being removed; end the programs that have its device open",
        ERROR_SERVICE_DISABLED => "it is disabled; linewake driver remove, then install it again",
        ERROR_INVALID_IMAGE_HASH => {
            "Windows loads signed drivers only. For tests: \"bcdedit /set testsigning on\" as an administrator, restart, \
             and sign linewake.sys with a test certificate"
        }
        ERROR_DRIVER_BLOCKED => "Windows blocks this driver; see the code-integrity event log",
        ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND => {
            "its file is gone; linewake driver install --path linewake.sys says where it is"
        }
        0 => &error.to_string(),
        _ => &std::io::Error::from_raw_os_error(code as i32).to_string(),
    };
    Failure::new(format!("cannot {what} the driver \"{NAME}\": {remedy} (error {code})"))
}
