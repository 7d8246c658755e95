import java.io.FileInputStream;
import java.util.TreeSet;
import java.util.logging.LogManager;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.PDFAParser;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;
import org.verapdf.pdfa.results.ValidationResult;

/** Asks veraPDF about files: arguments are flavour and path by turns; a line for each rule that one breaks. */
public class Check {
    public static void main(String[] words) throws Exception {
        LogManager.getLogManager().reset();
        VeraGreenfieldFoundryProvider.initialise();
        boolean conforming = true;
        for (int at = 0; at < words.length; at += 2) {
            PDFAFlavour flavour = PDFAFlavour.fromString(words[at]);
            try (FileInputStream stream = new FileInputStream(words[at + 1]);
                    PDFAParser parser = Foundries.defaultInstance().createParser(stream, flavour)) {
                ValidationResult result = Foundries.defaultInstance().createValidator(flavour, false).validate(parser);
                TreeSet<String> broken = new TreeSet<>();
                for (TestAssertion each : result.getTestAssertions()) {
                    if (each.getStatus() == TestAssertion.Status.FAILED) {
                        broken.add(each.getRuleId().getClause() + "-" + each.getRuleId().getTestNumber() + " " + each.getMessage());
                    }
                }
                for (String rule : broken) {
                    System.out.println(words[at] + " " + words[at + 1] + " " + rule);
                }
                conforming &= result.isCompliant();
            }
        }
        System.exit(conforming ? 0 : 1);
    }
}
