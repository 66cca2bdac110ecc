// NodeNext sources import './x.js'; Jest runs the './x.ts' beside it. Only our own files: a global mapping would also rewrite packages.
module.exports = (request, options) => {
  try {
    return options.defaultResolver(request, options);
  } catch (error) {
    if (/^\.{1,2}\//.test(request) && request.endsWith('.js') && !options.basedir.includes('/node_modules/'))
      return options.defaultResolver(request.replace(/\.js$/, '.ts'), options);
    throw error;
  }
};
