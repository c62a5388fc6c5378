// A harness of ours, not Jenkins: runs a declarative Jenkinsfile under plain Groovy, closely enough to see which stages
// it runs, where, in which order, with which locks, and what it keeps. Unlike Jenkins it has no CPS, no sandbox, no
// restart, and no plugin: steps of plugins are what their documentation says. There is no `changeset`: before a checkout
// Jenkins answers it with false, and no build here has a change log.
//
// groovy jenkins_harness.groovy JENKINSFILE REPOSITORY FOLDER TRACE [NAME=VALUE parameters]
// Every `node` block gets a fresh folder, as if no two were on one machine. Exit code 1 when the build failed.

import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import java.nio.file.FileSystems
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.locks.ReentrantLock
import org.codehaus.groovy.control.CompilerConfiguration

class BuildFailed extends RuntimeException {
    BuildFailed(String message) { super(message) }
}

class World {
    static String repository, trace
    static File folder
    static final List events = Collections.synchronizedList([])
    static final Map params = [:]
    static final Map stashes = new ConcurrentHashMap()
    static final Map locks = new ConcurrentHashMap()
    static final ThreadLocal<List> places = ThreadLocal.withInitial { [] }
    static final ThreadLocal<List> variables = ThreadLocal.withInitial { [] }
    static final ThreadLocal<List> stagesNow = ThreadLocal.withInitial { [] }
    static int nodes = 0
    // Branches take turns, as in Jenkins: one runs its script until it waits for a process or for a lock.
    static final ReentrantLock turn = new ReentrantLock()

    static Object waiting(Closure work) {
        int held = turn.holdCount
        held.times { turn.unlock() }
        try {
            return work()
        } finally {
            held.times { turn.lock() }
        }
    }

    static synchronized File workspace() {
        File made = new File(folder, "node-${nodes++}")
        made.mkdirs()
        return made
    }

    static void tell(Map event) {
        event.stage = stagesNow.get() ? stagesNow.get().last() : ''
        events << event
        println JsonOutput.toJson(event)
    }

    static File here() {
        if (!places.get()) { throw new BuildFailed('this step needs a node') }
        return places.get().last()
    }

    static List run(List command, File place, boolean echo = true) {
        def builder = new ProcessBuilder(command.collect { it.toString() }).directory(place).redirectErrorStream(true)
        variables.get().each { String pair ->
            int split = pair.indexOf('=')
            builder.environment().put(pair.substring(0, split), pair.substring(split + 1))
        }
        def process = builder.start()
        process.outputStream.close()
        def (int code, String text) = waiting {
            String said = process.inputStream.text
            [process.waitFor(), said]
        }
        if (echo) { print text }
        return [code, text]
    }
}

// Directives that only describe: whatever they are given is let by.
class Ignored {
    def methodMissing(String name, arguments) { return null }
}

class DescribedBuild extends LinkedHashMap {
    Object put(Object name, Object value) {
        World.tell(kind: name, text: value.toString())
        return super.put(name, value)
    }
}

abstract class Harness extends Script {
    private String failure = null
    private final List afterwards = []
    private final ThreadLocal<Boolean> skipped = ThreadLocal.withInitial { false }

    // -- declarative -----------------------------------------------------------------------------------------------

    def pipeline(Closure body) {
        body()
        afterwards.each { it() }
        if (failure) { throw new BuildFailed(failure) }
    }

    def getNone() { 'none' }
    def getScm() { 'scm' }
    def getParams() { World.params }
    def getEnv() { System.getenv() }
    def agent(Object where) { null }
    def agent(Closure where) { null }
    def agent() { 'agent' }
    def nonresumable() { 'nonresumable' }
    def options(Closure body) {
        body.delegate = new Ignored()
        body.resolveStrategy = Closure.DELEGATE_ONLY
        body()
    }
    def triggers(Closure body) { options(body) }
    def parameters(Closure body) { body() }
    def booleanParam(Map given) { World.params.putIfAbsent(given.name, given.defaultValue) }
    def string(Map given) { World.params.putIfAbsent(given.name, given.defaultValue) }
    // A failure ends the stages; what stands under `post` comes later in the file and is still to be done.
    def stages(Closure body) {
        try {
            body()
        } catch (BuildFailed problem) {
            failure = problem.message
        }
    }
    def script(Closure body) { body() }

    def stage(String name, Closure body) {
        World.stagesNow.get().push(name)
        boolean before = skipped.get()
        skipped.set(false)
        World.tell(kind: 'stage', name: name)
        try {
            body()
        } finally {
            World.stagesNow.get().pop()
            skipped.set(before)
        }
    }

    def when(Closure body) { skipped.set(!body()) }
    def expression(Closure body) { body() }
    def beforeAgent(boolean first) { null }

    def steps(Closure body) {
        if (skipped.get()) { return }
        // A declarative stage with an agent gets one; one without runs on the controller and may open its own.
        if (World.stagesNow.get().last() in ['advisories', 'check', 'plan']) { node(World.params.LABEL, body) } else { body() }
    }

    def post(Closure body) { body() }
    def always(Closure body) { afterwards << body }

    // -- steps -----------------------------------------------------------------------------------------------------

    def node(String label, Closure body) {
        World.places.get().push(World.workspace())
        World.tell(kind: 'node', label: label)
        try {
            body()
        } finally {
            World.places.get().pop()
        }
    }

    def checkout(Object what) {
        def here = World.here()
        World.run(['git', 'clone', '-q', '-b', 'main', World.repository, here.path], World.folder, false)
        String commit = World.run(['git', 'rev-parse', 'HEAD'], here, false)[1].trim()
        return [GIT_COMMIT: commit, GIT_PREVIOUS_SUCCESSFUL_COMMIT: System.getenv('GIT_PREVIOUS_SUCCESSFUL_COMMIT') ?: '']
    }

    def sh(String command) {
        int code = sh(script: command, returnStatus: true)
        if (code != 0) { throw new BuildFailed("${World.stagesNow.get()}: exit code ${code}") }
    }

    def sh(Map given) {
        if (!given.returnStatus) { throw new BuildFailed('the harness knows sh with returnStatus only') }
        World.tell(kind: 'sh', command: given.script.trim())
        def (int code, String text) = World.run(['sh', '-c', given.script], World.here())
        World.tell(kind: 'ended', command: given.script.trim(), code: code)
        return code
    }

    def withEnv(List pairs, Closure body) {
        def now = World.variables.get()
        pairs.each { now.push(it.toString()) }
        try {
            body()
        } finally {
            pairs.each { now.pop() }
        }
    }

    def lock(Map given, Closure body) {
        def held = World.locks.computeIfAbsent(given.resource) { new ReentrantLock() }
        World.waiting { held.lock() }
        World.tell(kind: 'lock', name: given.resource)
        try {
            body()
        } finally {
            held.unlock()
        }
    }

    def timeout(Map given, Closure body) {
        World.tell(kind: 'timeout', minutes: given.time)
        body()
    }

    // An agent never goes away here.
    def retry(Map given, Closure body) { body() }

    def catchError(Map given, Closure body) {
        try {
            body()
        } catch (BuildFailed problem) {
            World.tell(kind: 'caught', message: problem.message)
        }
    }

    def input(Map given) {
        World.tell(kind: 'input', message: given.message)
        String who = System.getenv('HARNESS_APPROVER')
        if (!who) { throw new BuildFailed("nobody approved: ${given.message}") }
        return who
    }

    def parallel(Map branches) {
        def failures = Collections.synchronizedList([])
        def threads = branches.collect { name, body ->
            Thread.start {
                World.turn.lock()
                try {
                    body()
                } catch (Throwable problem) {
                    failures << problem
                } finally {
                    World.turn.unlock()
                }
            }
        }
        World.waiting { threads*.join() }
        if (failures) { throw new BuildFailed(failures.collect { it.message }.join('; ')) }
    }

    def stash(Map given) {
        File kept = new File(World.folder, "stash-${given.name}")
        kept.mkdirs()
        World.tell(kind: 'stash', includes: given.includes)
        String from = given.includes.replaceAll('/?\\*+$', '')
        File source = new File(World.here(), from)
        if (source.exists()) { World.run(['cp', '-r', '--parents', from, kept.path], World.here()) }
        World.stashes[given.name] = kept
    }

    def unstash(String name) {
        World.tell(kind: 'unstash', name: name)
        World.run(['cp', '-r', World.stashes[name].path + '/.', World.here().path], World.folder)
    }

    def junit(Map given) {
        World.tell(kind: 'junit', path: given.testResults, found: new File(World.here(), given.testResults).exists())
    }

    def archiveArtifacts(Map given) {
        def found = []
        given.artifacts.split(',').each { String glob ->
            def matcher = FileSystems.default.getPathMatcher("glob:${glob}")
            World.here().eachFileRecurse { File file ->
                def path = World.here().toPath().relativize(file.toPath())
                if (file.isFile() && matcher.matches(path)) { found << path.toString() }
            }
        }
        if (!found && !given.allowEmptyArchive) { throw new BuildFailed("nothing to archive: ${given.artifacts}") }
        World.tell(kind: 'archive', artifacts: given.artifacts, found: found.sort())
    }

    def publishHTML(Map given) {
        World.tell(kind: 'html', found: new File(World.here(), given.target.reportDir + '/' + given.target.reportFiles).exists())
    }

    def fileExists(String path) { new File(World.here(), path).exists() }
    final Map currentBuild = new DescribedBuild()

    // A step that no installed plugin has: Jenkins throws this and not Groovy's own exception. HARNESS_PLUGINS names the
    // optional plugins that are there.
    def methodMissing(String name, arguments) {
        def plugins = (System.getenv('HARNESS_PLUGINS') ?: '').split(',')
        def given = arguments ? arguments[0] : null
        if (name == 'issues' && 'warnings-ng' in plugins) { return [tool: name] + given }
        if (name == 'recordIssues' && 'warnings-ng' in plugins) {
            def file = new File(World.here(), given.tool.pattern)
            World.tell(kind: 'issues', id: given.tool.id, path: given.tool.pattern, name: given.tool.name,
                found: new JsonSlurper().parse(file).issues)
            return null
        }
        if (name in ['addInfoBadge', 'addErrorBadge'] && 'badge' in plugins) {
            World.tell([kind: 'badge', step: name] + given)
            return null
        }
        throw new NoSuchMethodError("No such DSL method '${name}' found among steps [archive, bat, build]")
    }

    def readJSON(Map given) { new JsonSlurper().parse(new File(World.here(), given.file)) }
    def error(Object message) { throw new BuildFailed(message.toString()) }
    def echo(Object message) { println message }
}

def (String jenkinsfile, String repository, String folder, String trace) = args[0..3]
World.repository = repository
World.folder = new File(folder)
World.trace = trace
args.drop(4).each { String pair ->
    def (String name, String value) = pair.split('=', 2)
    World.params[name] = value in ['true', 'false'] ? value.toBoolean() : value
}
def configuration = new CompilerConfiguration(scriptBaseClass: Harness.name)
int code = 0
try {
    new GroovyShell(Harness.classLoader, new Binding(), configuration).evaluate(new File(jenkinsfile))
} catch (BuildFailed problem) {
    println "FAILED: ${problem.message}"
    code = 1
}
new File(trace).text = JsonOutput.toJson(World.events)
System.exit(code)
