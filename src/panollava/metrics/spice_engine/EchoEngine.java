// Part of panollava, MIT licence. Built into echo-engine.jar by tools/build_spice_engine.py.
package panollava.spice;

import java.io.BufferedReader;
import java.io.Reader;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import javax.script.AbstractScriptEngine;
import javax.script.Bindings;
import javax.script.ScriptContext;
import javax.script.ScriptEngine;
import javax.script.ScriptEngineFactory;
import javax.script.SimpleBindings;

/**
 * A script engine called "JavaScript" that runs no script: whatever it is asked, the variable "result" becomes the
 * value of the variable "jsonString".
 *
 * The SPICE program asks the engine of that name to indent its output, and Java has none since version 15. Here the
 * output passes as it is; JSON needs no indentation.
 */
public final class EchoEngine extends AbstractScriptEngine implements ScriptEngineFactory {
    private static final List<String> NAMES = Collections.unmodifiableList(Arrays.asList("JavaScript", "javascript"));

    @Override
    public Object eval(String script, ScriptContext context) {
        Bindings variables = context.getBindings(ScriptContext.ENGINE_SCOPE);
        Object text = variables.get("jsonString");
        variables.put("result", text);
        return text;
    }

    @Override
    public Object eval(Reader reader, ScriptContext context) {
        return eval("", context);
    }

    @Override
    public Bindings createBindings() {
        return new SimpleBindings();
    }

    @Override
    public ScriptEngineFactory getFactory() {
        return this;
    }

    @Override
    public ScriptEngine getScriptEngine() {
        return new EchoEngine();
    }

    @Override
    public String getEngineName() {
        return "panollava echo";
    }

    @Override
    public String getEngineVersion() {
        return "1";
    }

    @Override
    public String getLanguageName() {
        return "JavaScript";
    }

    @Override
    public String getLanguageVersion() {
        return "none";
    }

    @Override
    public List<String> getNames() {
        return NAMES;
    }

    @Override
    public List<String> getExtensions() {
        return Collections.emptyList();
    }

    @Override
    public List<String> getMimeTypes() {
        return Collections.emptyList();
    }

    @Override
    public Object getParameter(String key) {
        return null;
    }

    @Override
    public String getMethodCallSyntax(String object, String method, String... arguments) {
        throw new UnsupportedOperationException("this engine runs no scripts");
    }

    @Override
    public String getOutputStatement(String text) {
        throw new UnsupportedOperationException("this engine runs no scripts");
    }

    @Override
    public String getProgram(String... statements) {
        throw new UnsupportedOperationException("this engine runs no scripts");
    }
}
