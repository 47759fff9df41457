import { mount } from 'svelte';
import App from './views/App.svelte';
import './styles/tokens.css';
import './styles/base.css';

const target = document.querySelector('#app');
if (target === null) throw new Error('the page has no #app element');
mount(App, { target });
