// Reads a JUnit file with the parsers behind common CI reporters and prints what each one sees: xml2js (dorny/test-reporter),
// xml-js (mikepenz/action-junit-report) and fast-xml-parser.
import {readFileSync} from 'node:fs';
import xml2js from 'xml2js';
import xmljs from 'xml-js';
import {XMLParser, XMLValidator} from 'fast-xml-parser';

const content = readFileSync(process.argv[2], 'utf8');
const list = value => value === undefined ? [] : Array.isArray(value) ? value : [value];
const problems = ['failure', 'error', 'skipped'];

async function withXml2js() {
  const document = await new xml2js.Parser().parseStringPromise(content);
  return list(document.testsuites.testsuite).map(suite => ({
    name: suite.$.name,
    cases: list(suite.testcase).map(each => {
      const kind = problems.find(problem => each[problem]) ?? '';
      const problem = kind && each[kind][0];
      return {classname: each.$.classname, name: each.$.name, time: each.$.time, kind, message: kind && problem.$.message, text: kind && problem._};
    }),
  }));
}

function withXmlJs() {
  const document = xmljs.xml2js(content, {compact: true});
  return list(document.testsuites.testsuite).map(suite => ({
    name: suite._attributes.name,
    cases: list(suite.testcase).map(each => {
      const kind = problems.find(problem => each[problem]) ?? '';
      const problem = kind && each[kind];
      return {classname: each._attributes.classname, name: each._attributes.name, time: each._attributes.time, kind, message: kind && problem._attributes.message, text: kind && problem._text};
    }),
  }));
}

function withFastXmlParser() {
  const valid = XMLValidator.validate(content);
  if (valid !== true) throw new Error(JSON.stringify(valid));
  const parser = new XMLParser({ignoreAttributes: false, attributeNamePrefix: '', parseAttributeValue: false, trimValues: false, processEntities: {maxTotalExpansions: 1e9, maxExpandedLength: 1e9}, htmlEntities: true});
  return list(parser.parse(content).testsuites.testsuite).map(suite => ({
    name: suite.name,
    cases: list(suite.testcase).map(each => {
      const kind = problems.find(problem => each[problem]) ?? '';
      const problem = kind && each[kind];
      return {classname: each.classname, name: each.name, time: each.time, kind, message: kind && problem.message, text: kind && problem['#text']};
    }),
  }));
}

console.log(JSON.stringify({'xml2js': await withXml2js(), 'xml-js': withXmlJs(), 'fast-xml-parser': withFastXmlParser()}));
